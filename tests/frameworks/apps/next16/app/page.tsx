import Image from 'next/image';
import Link from 'next/link';
import Book from './Book';
import { sign } from './sign';

export default function Home() {
  return (
    <main>
      <h1>Guestbook</h1>
      <Image id="pic" src="/pic.png" alt="" width={16} height={16} />
      <Book />
      <form id="sign" action={sign}>
        <button>Sign</button>
      </form>
      <Link id="about" href="/about">
        About
      </Link>{' '}
      <a id="go" href="/go">
        Go
      </a>
    </main>
  );
}
