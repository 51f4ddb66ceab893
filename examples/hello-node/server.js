'use strict';
// A page, a small API and a health path. Listens on 3000 unless PORT says otherwise; the platform never sets PORT.

const http = require('node:http');
const fs = require('node:fs');
const path = require('node:path');

const PORT = Number(process.env.PORT || 3000);
const greeting = fs.readFileSync(path.join(__dirname, 'greeting.txt'), 'utf8').trim();
const escaped = greeting.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = fs.readFileSync(path.join(__dirname, 'public', 'index.html'), 'utf8').replaceAll('{{greeting}}', escaped);
const started = new Date();
let visits = 0;

function send(res, status, type, body) {
  res.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store' });
  res.end(body);
}

const json = (res, status, value) => send(res, status, 'application/json; charset=utf-8', JSON.stringify(value));

const server = http.createServer((req, res) => {
  const { pathname } = new URL(req.url, 'http://app');
  if (req.method !== 'GET' && req.method !== 'HEAD') return json(res, 405, { error: 'method not allowed' });
  if (pathname === '/') {
    visits += 1;
    return send(res, 200, 'text/html; charset=utf-8', page);
  }
  // The gateway strips /runtime/{appId}; the prefix it took off stands in X-Forwarded-Prefix.
  if (pathname === '/api/hello') {
    return json(res, 200, { greeting, visits, started: started.toISOString(), prefix: req.headers['x-forwarded-prefix'] || '' });
  }
  if (pathname === '/internal/health') return json(res, 200, { ok: true });
  return json(res, 404, { error: 'not found' });
});

server.listen(PORT, '0.0.0.0', () => console.log(`hello-node listens on ${PORT}: ${greeting}`));

// A new version takes over while this one still answers: finish what is in hand, then leave.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    console.log(`${signal}: closing`);
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
