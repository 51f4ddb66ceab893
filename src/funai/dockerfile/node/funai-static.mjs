// A small static server: node funai-static.mjs FOLDER. Unknown pages get 404.html, or index.html of a one-page app.
import { createReadStream, existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';

const root = realpathSync(process.argv[2] ?? '.');
const base = (process.env.BASE_PATH ?? '').replace(/\/+$/, '');
const port = Number(process.env.PORT ?? 3000);
const types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8', '.json': 'application/json', '.map': 'application/json', '.txt': 'text/plain; charset=utf-8',
  '.xml': 'application/xml', '.webmanifest': 'application/manifest+json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml',
  '.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.gif': 'image/gif', '.webp': 'image/webp',
  '.avif': 'image/avif', '.ico': 'image/x-icon', '.woff': 'font/woff', '.woff2': 'font/woff2', '.ttf': 'font/ttf',
  '.otf': 'font/otf', '.mp4': 'video/mp4', '.webm': 'video/webm', '.mp3': 'audio/mpeg', '.pdf': 'application/pdf',
};

/** The file that a path means, or undefined. Links may not lead out of the folder; hidden files are not served. */
function find(path) {
  if (path.split('/').some((part) => part.startsWith('.') && part !== '.well-known')) return undefined;
  for (const name of [path, `${path}.html`, join(path, 'index.html')]) {
    try {
      const file = realpathSync(join(root, name));
      const stat = statSync(file);
      if (stat.isFile() && file.startsWith(root + sep)) return { file, stat };
    } catch { /* not this one */ }
  }
  return undefined;
}

/** The folder that a site was built for (a page of GitHub's, say): its page names all of its files below that. '' for none. */
function builtFor() {
  const page = find('/index.html');
  const names = page ? readFileSync(page.file, 'utf8').slice(0, 1 << 20).matchAll(/\b(?:src|href)=["']?(\/[^"'\s>?#/][^"'\s>?#]*)/g) : [];
  let folder = '';
  for (const [, name] of names) {
    if (!extname(name)) continue;
    if (find(name)) return '';
    for (let at = name.indexOf('/', 1); at > 0 && !folder; at = name.indexOf('/', at + 1)) {
      if (find(name.slice(at))) folder = name.slice(0, at);
    }
  }
  return folder;
}
const home = builtFor();
// The gateway takes the platform's own prefix off: a site that was built for it is at the root here.
const below = home !== base && !/^\/runtime\/\d+/.test(home) ? home : '';

function pathOf(url) {
  let path = decodeURIComponent(new URL(url, 'http://x').pathname);
  if (path.includes('\0')) throw new URIError('NUL');
  if (base && (path === base || path.startsWith(`${base}/`))) path = path.slice(base.length) || '/';
  return path;
}

/** The page for a path that is no file: the site's 404.html, or the one page of an app that routes in the browser. */
function fallback(path, accept) {
  if (existsSync(join(root, '404.html'))) return { status: 404, found: find('/404.html') };
  const page = /\btext\/html\b|\*\/\*/.test(accept) && !/\.[A-Za-z0-9]{1,8}$/.test(path);
  return { status: page ? 200 : 404, found: page ? find('/index.html') : undefined };
}

function range(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return { start, end, bad: start > end };
}

function answer(request, response) {
  if (request.method !== 'GET' && request.method !== 'HEAD') return response.writeHead(405, { allow: 'GET, HEAD' }).end();
  const path = pathOf(request.url ?? '/');
  let status = 200;
  if (below && path === '/') return response.writeHead(302, { location: `${below.slice(1)}/` }).end();
  let found = find(path) ?? (below && path.startsWith(`${below}/`) ? find(path.slice(below.length)) : undefined);
  if (!found) ({ status, found } = fallback(path, request.headers.accept ?? '*/*'));
  if (!found) return response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('not found\n');
  const { file, stat } = found;
  const etag = `"${stat.size.toString(16)}-${Math.trunc(stat.mtimeMs).toString(16)}"`;
  // A name with a hash in it never changes its content; everything else is asked about again.
  const hashed = /[.-][A-Za-z0-9_-]{8,}\.[a-z0-9]+$/.test(file) && /\/(assets|static|_astro|_next|_app|_nuxt|immutable)\//.test(file);
  const headers = {
    'content-type': types[extname(file).toLowerCase()] ?? 'application/octet-stream', etag,
    'last-modified': stat.mtime.toUTCString(), 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff',
    'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
  if (status === 200 && request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end();
  const part = status === 200 ? range(request.headers.range, stat.size) : undefined;
  if (part?.bad) return response.writeHead(416, { 'content-range': `bytes */${stat.size}` }).end();
  if (part) Object.assign(headers, { 'content-range': `bytes ${part.start}-${part.end}/${stat.size}` });
  headers['content-length'] = part ? part.end - part.start + 1 : stat.size;
  response.writeHead(part ? 206 : status, headers);
  if (request.method === 'HEAD') return response.end();
  return createReadStream(file, part && { start: part.start, end: part.end }).on('error', () => response.destroy()).pipe(response);
}

const server = createServer((request, response) => {
  try {
    answer(request, response);
  } catch {
    if (!response.headersSent) response.writeHead(400);
    response.end();
  }
});
server.listen(port, "0.0.0.0", () => console.log(`serving ${root} on port ${server.address().port}`));
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
