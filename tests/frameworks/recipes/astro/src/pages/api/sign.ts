import type { APIRoute } from 'astro';

export const POST: APIRoute = ({ redirect }) => redirect(`${import.meta.env.BASE_URL.replace(/\/$/, '')}/about`, 303);
