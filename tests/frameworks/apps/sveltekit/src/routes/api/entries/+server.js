import { json } from '@sveltejs/kit';

const entries = [{ text: 'first' }];

export function GET({ cookies }) {
  cookies.set('sid', 'abc', { path: '/' });
  return json(entries);
}

export async function POST({ request }) {
  const { text } = await request.json();
  entries.push({ text });
  return json({ text }, { status: 201 });
}
