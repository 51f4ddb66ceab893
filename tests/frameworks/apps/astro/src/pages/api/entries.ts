import type { APIRoute } from 'astro';

const entries = [{ text: 'first' }];

export const GET: APIRoute = ({ cookies }) => {
  cookies.set('sid', 'abc', { path: '/' });
  return Response.json(entries);
};

export const POST: APIRoute = async ({ request }) => {
  const { text } = await request.json();
  entries.push({ text });
  return Response.json({ text }, { status: 201 });
};
