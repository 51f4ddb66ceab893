// What the views of logs share: lines in blocks, ANSI colours as classes, follow, search, copy. All text goes in as text nodes.
//
// Lines stand in blocks of BLOCK_LINES, which the browser lays out only when they are near the screen
// (content-visibility), and enter the document once an animation frame.

const BLOCK_LINES = 250;
const ESCAPE = /\x1b\[([0-9;:]*)m|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]/g;

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

export class LogView extends HTMLElement {
  /** Replaces the page's plain text by tools and an empty box. `tools`: elements that stand first. */
  build(tools = []) {
    const words = this.dataset;
    this.waiting = [];
    this.frame = 0;
    this.count = 0;
    this.classes = new Set();
    this.textContent = '';
    const bar = document.createElement('div');
    bar.className = 'logtools';
    const label = document.createElement('label');
    const name = document.createElement('span');
    name.className = 'hidden';
    name.textContent = words.wordSearch;
    this.search = document.createElement('input');
    this.search.type = 'search';
    this.search.placeholder = words.wordSearch;
    this.search.addEventListener('keydown', (e) => { if (e.key === 'Enter') { e.preventDefault(); this.#find(e.shiftKey ? -1 : 1); } });
    label.append(name, this.search);
    this.followBox = this.button(words.wordFollow, () => this.setFollow(!this.follow));
    this.copyButton = this.button(words.wordCopy, () => this.#copy());
    this.copyButton.hidden = !navigator.clipboard;
    this.note = document.createElement('span');
    this.note.className = 'fine';
    this.note.setAttribute('role', 'status');
    bar.append(...tools, label, this.followBox, this.copyButton, this.note);
    this.box = document.createElement('div');
    this.box.className = 'log';
    this.box.tabIndex = 0;
    this.box.setAttribute('role', 'region');
    this.box.setAttribute('aria-labelledby', 'log-title');
    this.box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.box.dataset.empty = words.wordEmpty ?? '';
    this.append(bar, this.box);
  }

  button(text, act) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = text;
    button.addEventListener('click', act);
    return button;
  }

  /** Whether lines may still come. */
  get live() { return false; }

  // --- lines into the document ----------------------------------------------------------------------------------

  /** Shows a line at the next animation frame. `at`: what its address is made of, if it has one. */
  push(text, at) {
    this.waiting.push([text, at]);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.frame = 0;
    const lines = this.waiting;
    this.waiting = [];
    for (const [line, at] of lines) {
      const group = this.groupOf(line);
      const [parts, classes] = pieces(line, this.classes);
      this.classes = classes;
      this.count += 1;
      this.block(group).append(this.line(parts, this.count, at));
    }
    this.rendered();
    if (this.follow) this.box.scrollTop = this.box.scrollHeight;
  }

  /** The element that a line goes into. */
  groupOf() {
    if (!this.group) this.group = this.box.appendChild(document.createElement('div'));
    return this.group;
  }

  /** Called after lines were added. */
  rendered() {}

  block(group) {
    const last = group.lastElementChild;
    if (last?.classList.contains('block') && last.childElementCount < BLOCK_LINES) return last;
    const block = document.createElement('div');
    block.className = 'block';
    group.append(block);
    return block;
  }

  line(parts, number, at) {
    const row = document.createElement('div');
    row.className = 'line';
    if (at !== undefined) row.id = `B${at}`;
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

  // --- what a reader does ---------------------------------------------------------------------------------------

  #scrolled() {
    if (!this.live) return;
    const away = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
    if (this.follow && away > 60 && this.box.scrollTop < (this.lastTop ?? 0)) this.setFollow(false);
    this.lastTop = this.box.scrollTop;
  }

  setFollow(on) {
    this.follow = on;
    this.followBox.setAttribute('aria-pressed', String(on));
    if (on) this.box.scrollTop = this.box.scrollHeight;
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
      this.setFollow(false);
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
