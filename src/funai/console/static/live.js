// Parts that refresh by themselves (hx-trigger="every …"): what a reader has in hand there outlives the swap, no part is
// asked for while the tab is hidden, and a part that can't be refreshed says so. Events bear htmx 4's and htmx 2's names.

const stale = document.getElementById('stale');
let kept;

function on(names, act) {
  for (const name of names) document.addEventListener(name, act);
}

/** What an element is called across a swap. */
function called(element) {
  const words = ['href', 'name', 'value', 'aria-label'].map((name) => element.getAttribute(name));
  return [element.tagName, element.closest('[id]').id, ...words].join('|');
}

function find(part, name) {
  return [...part.querySelectorAll(name.split('|', 1)[0])].find((element) => called(element) === name);
}

/** Whether text in the part is selected, to be copied. */
function selecting(part) {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode);
}

function remember(part) {
  const focus = part.contains(document.activeElement) ? called(document.activeElement) : '';
  const open = [...part.querySelectorAll('details[open]')].map(called);
  const typed = [...part.querySelectorAll('input, textarea')]
    .filter((field) => field.type !== 'hidden' && field.value !== field.defaultValue)
    .map((field) => [called(field), field.value]);
  const scrolled = [...part.querySelectorAll('.scroll')].map((box) => box.scrollLeft);
  return { id: part.id, focus, open, typed, scrolled };
}

function restore({ id, focus, open, typed, scrolled }) {
  const part = document.getElementById(id);
  if (!part) return;
  for (const name of open) find(part, name)?.setAttribute('open', '');
  for (const [name, value] of typed) {
    const field = find(part, name);
    if (field) field.value = value;
  }
  part.querySelectorAll('.scroll').forEach((box, i) => { box.scrollLeft = scrolled[i] ?? 0; });
  if (focus && !part.contains(document.activeElement)) find(part, focus)?.focus({ preventScroll: true });
}

on(['htmx:before:request', 'htmx:beforeRequest'], (event) => {
  if (document.hidden || selecting(event.target)) event.preventDefault();
});
on(['htmx:before:swap', 'htmx:beforeSwap'], (event) => { kept = remember(event.target); });
on(['htmx:after:swap', 'htmx:afterSwap'], ({ detail }) => {
  if ((detail.ctx?.response ?? detail.xhr).status >= 400) return; // nothing was swapped
  stale.hidden = true;
  if (kept) restore(kept);
  kept = undefined;
});
on(['htmx:error', 'htmx:response:error', 'htmx:sendError', 'htmx:responseError'], () => {
  if (!stale.hidden) return;
  stale.textContent = stale.dataset.words.replace('{at}', new Date().toLocaleTimeString(document.documentElement.lang));
  stale.hidden = false;
});
