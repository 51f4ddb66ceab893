// <job-log>: a job's log, live. The page carries the end of the log as text; this element takes it over, follows the
// stream from the byte where the page ends, and loads earlier pieces on request. All text goes in as text nodes.
//
// Lines stand in blocks of BLOCK_LINES, which the browser lays out only when they are near the screen
// (content-visibility), and enter the document once an animation frame.

const BLOCK_LINES = 250;
const PIECE_BYTES = 256 * 1024;
const ESCAPE = /\x1b\[([0-9;:]*)m|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]/g;
const GROUP = /^==> ([A-Z]+)\b/;
const encoder = new TextEncoder();

/** The classes that a list of SGR codes leaves in force. */
export function styled(classes, codes) {
  let now = new Set(classes);
  const list = codes === '' ? [0] : codes.split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i++) {
    const code = list[i];
    if (code === 0) now = new Set();
    else if (code === 1) now.add('b');
    else if (code === 2) now.add('dim');
    else if (code === 3) now.add('i');
    else if (code === 4) now.add('u');
    else if (code === 22) { now.delete('b'); now.delete('dim'); }
    else if (code === 23) now.delete('i');
    else if (code === 24) now.delete('u');
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97) || code === 39) {
      for (const name of [...now]) if (name.startsWith('c')) now.delete(name);
      if (code !== 39) now.add(`c${code}`);
    } else if (code === 38 || code === 48) i += list[i + 1] === 5 ? 2 : 4;
  }
  return now;
}

/** A line as [classes, text] pieces; carriage returns overwrite what stands before them. */
export function pieces(line, classes) {
  const parts = line.split('\r');
  const last = parts.filter((part) => part !== '').pop() ?? '';
  const out = [];
  let at = 0;
  let now = classes;
  for (const found of last.matchAll(ESCAPE)) {
    if (found.index > at) out.push([now, last.slice(at, found.index)]);
    if (found[1] !== undefined) now = styled(now, found[1]);
    at = found.index + found[0].length;
  }
  if (at < last.length) out.push([now, last.slice(at)]);
  return [out, now];
}

/** The length of a text in the log: UTF-8. */
function bytes(text) {
  return encoder.encode(text).length;
}

class JobLog extends HTMLElement {
  connectedCallback() {
    if (this.box) return;
    const { begin, end, final } = this.dataset;
    this.begin = Number(begin);
    this.end = Number(end);
    this.count = 0;
    this.open = '';
    this.at = this.begin; // where the line in this.open begins, in bytes of the log
    this.classes = new Set();
    this.waiting = [];
    this.frame = 0;
    const text = this.querySelector('pre').textContent;
    const finished = final === 'true';
    this.#build();
    if (this.end > 0 && text !== '') this.#take(text);
    this.follow = !finished;
    if (!finished) this.#listen();
    else this.#finish();
    const wanted = /^#B(\d+)$/.exec(location.hash);
    if (wanted) requestAnimationFrame(() => requestAnimationFrame(() => this.#goTo(Number(wanted[1]))));
  }

  disconnectedCallback() {
    this.source?.close();
  }

  #build() {
    const words = this.dataset;
    this.textContent = '';
    const tools = document.createElement('div');
    tools.className = 'logtools';
    this.earlier = this.#button(words.wordEarlier, () => this.#loadEarlier());
    this.earlier.hidden = this.begin === 0;
    const label = document.createElement('label');
    const name = document.createElement('span');
    name.className = 'hidden';
    name.textContent = words.wordSearch;
    this.search = document.createElement('input');
    this.search.type = 'search';
    this.search.placeholder = words.wordSearch;
    this.search.addEventListener('keydown', (e) => { if (e.key === 'Enter') { e.preventDefault(); this.#find(e.shiftKey ? -1 : 1); } });
    label.append(name, this.search);
    this.followBox = this.#button(words.wordFollow, () => this.#setFollow(!this.follow));
    this.copyButton = this.#button(words.wordCopy, () => this.#copy());
    this.copyButton.hidden = !navigator.clipboard;
    this.note = document.createElement('span');
    this.note.className = 'fine';
    this.note.setAttribute('role', 'status');
    tools.append(this.earlier, label, this.followBox, this.copyButton, this.note);
    this.box = document.createElement('div');
    this.box.className = 'log';
    this.box.tabIndex = 0;
    this.box.setAttribute('role', 'region');
    this.box.setAttribute('aria-labelledby', 'log-title');
    this.box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.box.addEventListener('click', (event) => this.#clicked(event));
    this.append(tools, this.box);
  }

  #button(text, act) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = text;
    button.addEventListener('click', act);
    return button;
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

  // --- lines into the document ----------------------------------------------------------------------------------

  #take(text) {
    const lines = (this.open + text).split('\n');
    this.open = lines.pop();
    for (const line of lines) {
      this.waiting.push([line, this.at]);
      this.at += bytes(line) + 1;
    }
    if (!this.frame && this.waiting.length) this.frame = requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.frame = 0;
    const lines = this.waiting;
    this.waiting = [];
    for (const [line, at] of lines) {
      const title = GROUP.exec(line);
      if (title || !this.group) this.#newGroup(title ? title[1] : '');
      const [parts, classes] = pieces(line, this.classes);
      this.classes = classes;
      this.count += 1;
      this.#block(this.group).append(this.#line(parts, this.count, at));
    }
    if (this.follow) this.box.scrollTop = this.box.scrollHeight;
  }

  #newGroup(title) {
    this.group = document.createElement(title ? 'details' : 'div');
    this.group.className = 'group';
    if (title) {
      this.group.open = true;
      const summary = document.createElement('summary');
      summary.textContent = title;
      this.group.append(summary);
    }
    this.box.append(this.group);
  }

  #block(group) {
    const last = group.lastElementChild;
    if (last?.classList.contains('block') && last.childElementCount < BLOCK_LINES) return last;
    const block = document.createElement('div');
    block.className = 'block';
    group.append(block);
    return block;
  }

  /** `at`: where the line begins, in bytes of the whole log. Its address is made of that: numbers begin where the page does. */
  #line(parts, number, at) {
    const row = document.createElement('div');
    row.className = 'line';
    row.id = `B${at}`;
    row.dataset.n = number;
    for (const [classes, piece] of parts) {
      if (classes.size === 0) { row.append(piece); continue; }
      const span = document.createElement('span');
      span.className = [...classes].map((name) => `a-${name}`).join(' ');
      span.textContent = piece;
      row.append(span);
    }
    return row;
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
      this.#block(group).append(this.#line(parts, 0, begins));
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

  // --- what a reader does ---------------------------------------------------------------------------------------

  #scrolled() {
    if (this.source?.readyState === undefined || this.source.readyState === EventSource.CLOSED) return;
    const away = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
    if (this.follow && away > 60 && this.box.scrollTop < (this.lastTop ?? 0)) this.#setFollow(false);
    this.lastTop = this.box.scrollTop;
  }

  #setFollow(on) {
    this.follow = on;
    this.followBox.setAttribute('aria-pressed', String(on));
    if (on) this.box.scrollTop = this.box.scrollHeight;
  }

  /** The line that has byte `at` of the log in it; earlier pieces are loaded until it is there. */
  async #goTo(at) {
    while (at < this.begin) {
      const before = this.begin;
      await this.#loadEarlier();
      if (this.begin === before) return;
    }
    const row = [...this.box.querySelectorAll('.line')].findLast((line) => Number(line.id.slice(1)) <= at);
    if (!row) return;
    this.#setFollow(false);
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

  #find(step) {
    const wanted = this.search.value.toLowerCase();
    if (wanted === '') return;
    const lines = [...this.box.querySelectorAll('.line')];
    const here = lines.findIndex((line) => line.classList.contains('found'));
    lines[here]?.classList.remove('found');
    for (let i = 1; i <= lines.length; i++) {
      const line = lines[(here + step * i + lines.length * 2) % lines.length];
      if (!line.textContent.toLowerCase().includes(wanted)) continue;
      line.classList.add('found');
      this.#setFollow(false);
      line.closest('details')?.setAttribute('open', '');
      line.scrollIntoView({ block: 'center' });
      this.note.textContent = '';
      return;
    }
    this.note.textContent = this.dataset.wordNone;
  }

  async #copy() {
    const lines = [...this.box.querySelectorAll('.line')].map((line) => line.textContent);
    await navigator.clipboard.writeText(`${lines.join('\n')}\n`);
    this.note.textContent = this.dataset.wordCopied;
  }
}

customElements.define('job-log', JobLog);
