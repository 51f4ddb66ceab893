// The part of the package `pg` that examples/todo-postgres uses, over PostgreSQL's own protocol: tests install no packages.
'use strict';
const net = require('node:net');
const crypto = require('node:crypto');

const z = (text) => Buffer.concat([Buffer.from(String(text)), Buffer.of(0)]);
const int32 = (n) => { const b = Buffer.alloc(4); b.writeInt32BE(n); return b; };
const int16 = (n) => { const b = Buffer.alloc(2); b.writeInt16BE(n); return b; };
const framed = (kind, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
};
const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();

function scram(password, nonce, first) {
  const said = Object.fromEntries(first.split(',').map((p) => [p[0], p.slice(2)]));
  const salted = crypto.pbkdf2Sync(password, Buffer.from(said.s, 'base64'), Number(said.i), 32, 'sha256');
  const key = hmac(salted, 'Client Key');
  const bare = `c=biws,r=${said.r}`;
  const signature = hmac(crypto.createHash('sha256').update(key).digest(), `n=,r=${nonce},${first},${bare}`);
  return `${bare},p=${Buffer.from(key.map((b, i) => b ^ signature[i])).toString('base64')}`;
}

function* frames(held) {
  let at = 0;
  while (held.length - at >= 5 && held.length - at > held.readInt32BE(at + 1)) {
    const end = at + 1 + held.readInt32BE(at + 1);
    yield [String.fromCharCode(held[at]), held.subarray(at + 5, end), end];
    at = end;
  }
}

function columns(data) {
  const found = [];
  for (let at = 2; at < data.length; ) {
    const end = data.indexOf(0, at);
    found.push(data.toString('utf8', at, end));
    at = end + 19;
  }
  return found;
}

function values(data) {
  const found = [];
  for (let at = 2; at < data.length; ) {
    const size = data.readInt32BE(at);
    found.push(size < 0 ? null : data.toString('utf8', at + 4, at + 4 + size));
    at += 4 + Math.max(0, size);
  }
  return found;
}

function ask(url, text, params) {
  return new Promise((resolve, reject) => {
    const at = new URL(url);
    const socket = net.connect(Number(at.port), at.hostname);
    const nonce = crypto.randomBytes(18).toString('base64');
    const rows = [];
    let names = [], held = Buffer.alloc(0), asked = false, failure = null;
    const question = () => Buffer.concat([
      framed('P', z(''), z(text), int16(0)),
      framed('B', z(''), z(''), int16(0), int16(params.length),
        ...params.map((p) => Buffer.concat([int32(Buffer.byteLength(p)), Buffer.from(p)])), int16(0)),
      framed('D', Buffer.from('P'), z('')), framed('E', z(''), int32(0)), framed('S'),
    ]);
    const handle = (kind, data) => {
      if (kind === 'R' && data.readInt32BE(0) === 10) {
        const first = `n,,n=,r=${nonce}`;
        socket.write(framed('p', z('SCRAM-SHA-256'), int32(first.length), Buffer.from(first)));
      } else if (kind === 'R' && data.readInt32BE(0) === 11) {
        socket.write(framed('p', Buffer.from(scram(decodeURIComponent(at.password), nonce, data.toString('utf8', 4)))));
      } else if (kind === 'T') names = columns(data);
      else if (kind === 'D') rows.push(Object.fromEntries(values(data).map((v, i) => [names[i], v])));
      else if (kind === 'E') {
        failure = new Error(data.toString('utf8').split('\0').find((p) => p[0] === 'M')?.slice(1));
        if (!asked) socket.end();
      } else if (kind === 'Z') {
        if (asked) return void socket.end();
        asked = true;
        socket.write(question());
      }
    };
    socket.on('connect', () => {
      const body = Buffer.concat([int32(196608), z('user'), z(at.username), z('database'), z(at.pathname.slice(1)), Buffer.of(0)]);
      socket.write(Buffer.concat([int32(body.length + 4), body]));
    });
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      let used = 0;
      for (const [kind, data, end] of frames(held)) { handle(kind, data); used = end; }
      held = held.subarray(used);
    });
    socket.on('error', reject);
    socket.on('close', () => (failure ? reject(failure) : resolve({ rows })));
  });
}

exports.Pool = class {
  constructor({ connectionString }) { this.url = connectionString; }
  on() {}
  query(text, params = []) { return ask(this.url, text, params); }
  async end() {}
};
