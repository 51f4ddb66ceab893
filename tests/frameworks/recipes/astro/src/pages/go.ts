import type { APIRoute } from 'astro';

export const GET: APIRoute = ({ redirect }) => redirect(`${import.meta.env.BASE_URL.replace(/\/$/, '')}/about`);
