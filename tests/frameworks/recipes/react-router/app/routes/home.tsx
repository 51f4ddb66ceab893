import { type FormEvent, useEffect, useState } from "react";
import { Form, Link, redirect } from "react-router";

type Entry = { text: string };
const base = import.meta.env.BASE_URL;

export async function action() {
  return redirect("/about");
}

export default function Home() {
  const [entries, setEntries] = useState<Entry[]>([]);
  const [text, setText] = useState("");
  const load = async () => setEntries(await (await fetch(`${base}api/entries`)).json());
  useEffect(() => {
    load();
  }, []);
  async function add(event: FormEvent) {
    event.preventDefault();
    const body = JSON.stringify({ text });
    await fetch(`${base}api/entries`, { method: "POST", headers: { "content-type": "application/json" }, body });
    load();
  }
  return (
    <main>
      <h1>Guestbook</h1>
      <img id="pic" src={`${base}pic.svg`} alt="" />
      <ul id="list">
        {entries.map((entry, n) => (
          <li key={n}>{entry.text}</li>
        ))}
      </ul>
      <form id="add" onSubmit={add}>
        <input id="text" value={text} onChange={(event) => setText(event.target.value)} />
        <button>Add</button>
      </form>
      <Form id="sign" method="post">
        <button>Sign</button>
      </Form>
      <Link id="about" to="/about">About</Link> <a id="go" href={`${base}go`}>Go</a>
    </main>
  );
}
