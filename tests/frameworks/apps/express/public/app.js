const list = document.getElementById('list');
async function load() {
  const entries = await (await fetch('/api/entries')).json();
  list.replaceChildren(...entries.map((e) => Object.assign(document.createElement('li'), { textContent: e.text })));
}
document.getElementById('add').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = document.getElementById('text').value;
  await fetch('/api/entries', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text }),
  });
  load();
});
load();
