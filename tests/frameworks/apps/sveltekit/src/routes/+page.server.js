import { redirect } from '@sveltejs/kit';

export const actions = { sign: () => redirect(303, '/about') };
