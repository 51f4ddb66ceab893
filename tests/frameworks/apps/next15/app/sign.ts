'use server';

import { redirect } from 'next/navigation';

export async function sign() {
  redirect('/about');
}
