const entries = [{ text: "first" }];

export async function loader() {
  return Response.json(entries, { headers: { "set-cookie": "sid=abc; Path=/" } });
}

export async function action({ request }: { request: Request }) {
  const { text } = await request.json();
  entries.push({ text });
  return Response.json({ text }, { status: 201 });
}
