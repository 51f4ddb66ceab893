import Image from 'next/image';
import Link from 'next/link';
import Book from './Book';
import { sign } from './sign';

const base = process.env.NEXT_PUBLIC_BASE_PATH ?? '';

export default function Home() {
  return (
    <main>
      <h1>Guestbook</h1>
      <Image id="pic" src={`${base}/pic.png`} alt="" width={16} height={16} />
      <Book />
      <form id="sign" action={sign}>
        <button>Sign</button>
      </form>
      <Link id="about" href="/about">
        About
      </Link>{' '}
      <a id="go" href={`${base}/go`}>
        Go
      </a>
    </main>
  );
}
