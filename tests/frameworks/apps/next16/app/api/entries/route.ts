import { cookies } from 'next/headers';

const entries = [{ text: 'first' }];
export const dynamic = 'force-dynamic';

export async function GET() {
  (await cookies()).set('sid', 'abc', { httpOnly: true });
  return Response.json(entries);
}

export async function POST(request: Request) {
  const { text } = await request.json();
  entries.push({ text });
  return Response.json({ text }, { status: 201 });
}
