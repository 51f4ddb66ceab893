// <job-log>: a job's log, live. The page carries the end of the log as text; this element takes it over, follows the
// stream from the byte where the page ends, and loads earlier pieces on request.

import { LogView, pieces } from './logview.js';

const PIECE_BYTES = 256 * 1024;
const GROUP = /^==> ([A-Z]+)\b/;
const encoder = new TextEncoder();

/** The length of a text in the log: UTF-8. */
function bytes(text) {
  return encoder.encode(text).length;
}

class JobLog extends LogView {
  connectedCallback() {
    if (this.box) return;
    const { begin, end, final } = this.dataset;
    this.begin = Number(begin);
    this.end = Number(end);
    this.open = '';
    this.at = this.begin; // where the line in this.open begins, in bytes of the log
    const text = this.querySelector('pre').textContent;
    const finished = final === 'true';
    this.earlier = this.button(this.dataset.wordEarlier, () => this.#loadEarlier());
    this.earlier.hidden = this.begin === 0;
    this.build([this.earlier]);
    this.box.addEventListener('click', (event) => this.#clicked(event));
    if (this.end > 0 && text !== '') this.#take(text);
    this.setFollow(!finished);
    if (!finished) this.#listen();
    else this.#finish();
    const wanted = /^#B(\d+)$/.exec(location.hash);
    if (wanted) requestAnimationFrame(() => requestAnimationFrame(() => this.#goTo(Number(wanted[1]))));
  }

  disconnectedCallback() {
    this.source?.close();
  }

  get live() {
    return this.source?.readyState !== undefined && this.source.readyState !== EventSource.CLOSED;
  }

  // --- the stream -----------------------------------------------------------------------------------------------

  #listen() {
    this.source = new EventSource(`${this.dataset.events}?offset=${this.end}`);
    this.source.addEventListener('open', () => { this.note.textContent = ''; });
    this.source.addEventListener('log', (e) => {
      const piece = JSON.parse(e.data);
      if (piece.offset < this.end) return; // a piece that came again with a reconnection
      this.end = piece.nextOffset;
      this.#take(piece.chunk);
    });
    this.source.addEventListener('end', () => { this.source.close(); this.#finish(); });
    this.source.addEventListener('error', () => {
      if (this.source.readyState !== EventSource.CLOSED) { this.note.textContent = this.dataset.wordReconnect; return; }
      setTimeout(() => { if (this.isConnected) this.#listen(); }, 2000);
    });
  }

  #finish() {
    if (this.open !== '') this.#take('\n');
    this.followBox.hidden = true;
    this.note.textContent = this.dataset.wordEnded;
  }

  #take(text) {
    const lines = (this.open + text).split('\n');
    this.open = lines.pop();
    for (const line of lines) {
      this.push(line, this.at);
      this.at += bytes(line) + 1;
    }
  }

  /** A phase's title begins a group that folds. */
  groupOf(line) {
    const title = GROUP.exec(line);
    if (!title && this.group) return this.group;
    this.group = document.createElement(title ? 'details' : 'div');
    this.group.className = 'group';
    if (title) {
      this.group.open = true;
      const summary = document.createElement('summary');
      summary.textContent = title[1];
      this.group.append(summary);
    }
    this.box.append(this.group);
    return this.group;
  }

  // --- earlier lines --------------------------------------------------------------------------------------------

  async #loadEarlier() {
    const from = Math.max(0, this.begin - PIECE_BYTES);
    let text = '';
    let at = from;
    while (at < this.begin) {
      const answer = await fetch(`${this.dataset.pieces}?begin=${at}`);
      if (!answer.ok) return;
      const piece = await answer.json();
      if (!piece.chunk) break;
      text += piece.chunk;
      at = piece.nextOffset;
    }
    // What reaches into the part that is shown already is cut off, by bytes as the offsets count.
    let shown = new TextDecoder().decode(encoder.encode(text).slice(0, this.begin - from));
    if (from > 0) shown = shown.slice(shown.indexOf('\n') + 1);
    this.begin = from > 0 ? this.begin - bytes(shown) : 0;
    this.earlier.hidden = this.begin === 0;
    const height = this.box.scrollHeight - this.box.scrollTop;
    const group = document.createElement('div');
    group.className = 'group';
    const lines = shown.split('\n');
    lines.pop();
    let classes = new Set();
    let begins = this.begin;
    for (const line of lines) {
      const [parts, now] = pieces(line, classes);
      classes = now;
      this.block(group).append(this.line(parts, 0, begins));
      begins += bytes(line) + 1;
    }
    this.box.prepend(group);
    this.#number();
    this.box.scrollTop = this.box.scrollHeight - height;
  }

  #number() {
    let n = 0;
    for (const row of this.box.querySelectorAll('.line')) {
      n += 1;
      row.dataset.n = n;
    }
    this.count = n;
  }

  // --- addresses of lines: their byte in the whole log, since numbers begin where the page does -----------------

  /** The line that has byte `at` of the log in it; earlier pieces are loaded until it is there. */
  async #goTo(at) {
    while (at < this.begin) {
      const before = this.begin;
      await this.#loadEarlier();
      if (this.begin === before) return;
    }
    const row = [...this.box.querySelectorAll('.line')].findLast((line) => Number(line.id.slice(1)) <= at);
    if (!row) return;
    this.setFollow(false);
    row.closest('details')?.setAttribute('open', '');
    row.scrollIntoView({ block: 'center' });
    this.#mark(row);
  }

  #mark(row) {
    this.box.querySelector('.target')?.classList.remove('target');
    row.classList.add('target');
  }

  /** A click on a line's number makes the address one of that line. */
  #clicked(event) {
    const row = event.target.closest('.line');
    if (!row || event.clientX - row.getBoundingClientRect().left > parseFloat(getComputedStyle(row).paddingLeft)) return;
    history.replaceState(null, '', `#${row.id}`);
    this.#mark(row);
  }
}

customElements.define('job-log', JobLog);
