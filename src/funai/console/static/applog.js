// <app-log>: what an app's container prints, live. The page carries the last lines as text; this element takes them over
// and follows the API's stream, which begins with the last lines again: those that are shown already are left out.
// A stream ends with its container, or when the platform restarts; the next one goes on where the lines overlap.

import { LogView } from './logview.js';

const MAX_BLOCKS = 80;
const QUIET_MS = 250;
const AGAIN_MS = 3_000;

/** How many of `fresh` stand at the end of `shown` already. */
export function overlap(shown, fresh) {
  for (let n = Math.min(shown.length, fresh.length); n > 0; n--) {
    let same = true;
    for (let i = 0; i < n && same; i++) same = shown[shown.length - n + i] === fresh[i];
    if (same) return n;
  }
  return 0;
}

class AppLog extends LogView {
  #visible = () => (document.hidden ? this.#close() : this.#listen());

  connectedCallback() {
    if (this.box) return;
    const text = this.querySelector('pre')?.textContent ?? '';
    this.tail = Number(this.dataset.tail);
    this.shown = []; // the last lines as they came, up to `tail` of them
    this.build();
    const lines = text.replaceAll('\0', '').split('\n');
    this.#unfinished(lines.pop());
    lines.forEach((line) => this.#show(line));
    this.setFollow(true);
    document.addEventListener('visibilitychange', this.#visible);
    this.#visible();
  }

  disconnectedCallback() {
    document.removeEventListener('visibilitychange', this.#visible);
    this.#close();
  }

  get live() { return true; }

  #close() {
    clearTimeout(this.again);
    this.stream?.abort();
    this.stream = undefined;
  }

  /** One stream after another while the page is seen. */
  async #listen() {
    this.#close();
    const own = new AbortController();
    this.stream = own;
    try {
      const asked = { signal: own.signal, headers: { Accept: 'text/plain' } };
      const answer = await fetch(`${this.dataset.stream}?tail=${this.tail}`, asked);
      if (answer.redirected) { location.reload(); return; } // the session has ended
      if (answer.ok) await this.#read(answer.body.getReader(), own.signal);
      else this.note.textContent = await answer.text();
    } catch {
      if (!own.signal.aborted) this.note.textContent = this.dataset.wordReconnect;
    }
    if (!own.signal.aborted) this.again = setTimeout(() => this.#listen(), AGAIN_MS);
  }

  /** Reads a stream to its end. Its first lines are held until it pauses, and compared with those that are shown. */
  async #read(reader, signal) {
    const decoder = new TextDecoder();
    let open = '';
    let held = [];
    let timer = 0;
    const release = () => {
      clearTimeout(timer);
      if (held === undefined || signal.aborted) return;
      const known = overlap(this.shown, held);
      if (held.length && !known && this.shown.length) this.push(this.dataset.wordGap);
      held.slice(known).forEach((line) => this.#show(line));
      held = undefined;
    };
    this.note.textContent = this.dataset.wordLive;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        const lines = (open + decoder.decode(value, { stream: !done })).replaceAll('\0', '').split('\n');
        open = lines.pop();
        this.#unfinished(open);
        if (held === undefined) lines.forEach((line) => this.#show(line));
        else {
          held.push(...lines);
          clearTimeout(timer);
          if (held.length > this.tail) release();
          else timer = setTimeout(release, QUIET_MS);
        }
        if (done) break;
      }
      if (!signal.aborted) this.note.textContent = this.dataset.wordSilent;
    } finally {
      release();
    }
  }

  /** A line whose end has not come yet stands last. */
  #unfinished(text) {
    this.rest ??= this.box.appendChild(this.line([], ''));
    this.rest.hidden = text === '';
    this.rest.textContent = text.split('\r').findLast((part) => part !== '') ?? '';
  }

  #show(line) {
    this.shown.push(line);
    if (this.shown.length > 2 * this.tail) this.shown.splice(0, this.shown.length - this.tail);
    this.push(line);
  }

  /** The lines stand before the one that is not finished; the oldest make room. */
  rendered() {
    if (this.rest && this.box.lastElementChild !== this.rest) this.box.append(this.rest);
    while (this.follow && this.group.childElementCount > MAX_BLOCKS) this.group.firstElementChild.remove();
  }
}

customElements.define('app-log', AppLog);
