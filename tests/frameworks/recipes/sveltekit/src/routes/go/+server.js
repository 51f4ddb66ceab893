import { base } from '$app/paths';
import { redirect } from '@sveltejs/kit';

export const GET = () => redirect(302, `${base}/about`);
