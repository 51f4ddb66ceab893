export const dynamic = 'force-dynamic';

export async function GET() {
  return new Response(null, { status: 307, headers: { location: `${process.env.NEXT_PUBLIC_BASE_PATH ?? ''}/about` } });
}
