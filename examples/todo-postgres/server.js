// A to-do list in PostgreSQL. `funai db create` makes the database; the platform gives its address as DATABASE_URL.
'use strict';
const http = require('node:http');
const { Pool } = require('pg');

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 5 });
pool.on('error', (e) => console.error('database connection lost:', e.message)); // an idle one; the next query makes another

const PAGE = `<!doctype html><meta charset="utf-8"><title>To do</title><h1>To do</h1>
<form id=f><input name=text required maxlength=200> <button>Add</button></form><ul id=list></ul>
<script>
const api = './api/todos';
async function show() {
  const items = await (await fetch(api)).json();
  list.replaceChildren(...items.map((t) => Object.assign(document.createElement('li'), { textContent: t.text })));
}
f.onsubmit = async (e) => {
  e.preventDefault();
  await fetch(api, { method: 'POST', body: JSON.stringify({ text: new FormData(f).get('text') }) });
  f.reset();
  show();
};
show();
</script>`;

async function body(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 10_000) throw Object.assign(new Error('too large'), { status: 413 });
  }
  return JSON.parse(text);
}

async function answer(request, response) {
  const path = new URL(request.url, 'http://x').pathname;
  if (path === '/internal/health') return response.end('ok'); // without the database: it may be away for a while
  if (path === '/') return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(PAGE);
  if (path !== '/api/todos') return response.writeHead(404).end();
  if (request.method === 'POST') {
    const { text } = await body(request);
    await pool.query('INSERT INTO todos (text) VALUES ($1)', [String(text).slice(0, 200)]);
  }
  const { rows } = await pool.query('SELECT id, text FROM todos ORDER BY id LIMIT 200');
  response.setHeader('Content-Type', 'application/json').end(JSON.stringify(rows));
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((e) => {
    console.error(e.message);
    if (!response.headersSent) response.writeHead(e.status || (e instanceof SyntaxError ? 400 : 503));
    response.end();
  });
});

async function start() {
  await pool.query('CREATE TABLE IF NOT EXISTS todos (id serial PRIMARY KEY, text text NOT NULL)');
  server.listen(3000, () => console.log('listening on 3000'));
}

process.on('SIGTERM', () => server.close(() => pool.end().then(() => process.exit(0))));
start().catch((e) => {
  console.error(process.env.DATABASE_URL ? e.message : 'DATABASE_URL is not set: run `funai db create`, then deploy again');
  process.exit(1);
});
