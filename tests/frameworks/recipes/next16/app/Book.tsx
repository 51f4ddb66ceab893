'use client';

import { type FormEvent, useEffect, useState } from 'react';

type Entry = { text: string };
const base = process.env.NEXT_PUBLIC_BASE_PATH ?? '';

export default function Book() {
  const [entries, setEntries] = useState<Entry[]>([]);
  const [text, setText] = useState('');
  const load = async () => setEntries(await (await fetch(`${base}/api/entries`)).json());
  useEffect(() => {
    load();
  }, []);
  async function add(event: FormEvent) {
    event.preventDefault();
    const body = JSON.stringify({ text });
    await fetch(`${base}/api/entries`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    load();
  }
  return (
    <>
      <ul id="list">
        {entries.map((entry, n) => (
          <li key={n}>{entry.text}</li>
        ))}
      </ul>
      <form id="add" onSubmit={add}>
        <input id="text" value={text} onChange={(event) => setText(event.target.value)} />
        <button>Add</button>
      </form>
    </>
  );
}
