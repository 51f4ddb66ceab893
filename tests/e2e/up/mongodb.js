// The part of the package `mongodb` that examples/todo-mongo uses, over MongoDB's own protocol: tests install no packages.
'use strict';
const net = require('node:net');
const crypto = require('node:crypto');

class ObjectId {
  static count = crypto.randomInt(1 << 24);
  constructor(bytes) {
    this.bytes = bytes || Buffer.alloc(12);
    if (bytes) return;
    this.bytes.writeUInt32BE(Math.floor(Date.now() / 1000), 0);
    this.bytes.writeUInt32BE(ObjectId.count++, 8);
  }
  toJSON() { return this.bytes.toString('hex'); }
}

const cstring = (text) => Buffer.concat([Buffer.from(String(text)), Buffer.of(0)]);
const int32 = (n) => { const b = Buffer.alloc(4); b.writeInt32LE(n); return b; };

function encoded(value) {
  if (value instanceof ObjectId) return [7, value.bytes];
  if (Buffer.isBuffer(value)) return [5, Buffer.concat([int32(value.length), Buffer.of(0), value])];
  if (typeof value === 'string') { const text = cstring(value); return [2, Buffer.concat([int32(text.length), text])]; }
  if (typeof value === 'number') return [16, int32(value)];
  if (typeof value === 'boolean') return [8, Buffer.of(value ? 1 : 0)];
  return [Array.isArray(value) ? 4 : 3, document(value)];
}

function document(fields) {
  const parts = Object.entries(fields).map(([name, value]) => {
    const [kind, bytes] = encoded(value);
    return Buffer.concat([Buffer.of(kind), cstring(name), bytes]);
  });
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 5), body, Buffer.of(0)]);
}

function decoded(kind, data, at) {
  const size = kind === 2 || kind === 3 || kind === 4 || kind === 5 ? data.readInt32LE(at) : 0;
  switch (kind) {
    case 1: return [data.readDoubleLE(at), at + 8];
    case 2: return [data.toString('utf8', at + 4, at + 3 + size), at + 4 + size];
    case 3: return [fieldsOf(data.subarray(at, at + size)), at + size];
    case 4: return [Object.values(fieldsOf(data.subarray(at, at + size))), at + size];
    case 5: return [data.subarray(at + 5, at + 5 + size), at + 5 + size];
    case 7: return [new ObjectId(data.subarray(at, at + 12)), at + 12];
    case 8: return [data[at] === 1, at + 1];
    case 9: case 17: case 18: return [Number(data.readBigInt64LE(at)), at + 8];
    case 10: return [null, at];
    case 16: return [data.readInt32LE(at), at + 4];
    default: throw new Error(`BSON type ${kind}`);
  }
}

function fieldsOf(data) {
  const found = {};
  for (let at = 4; data[at] !== 0; ) {
    const end = data.indexOf(0, at + 1);
    const name = data.toString('utf8', at + 1, end);
    [found[name], at] = decoded(data[at], data, end + 1);
  }
  return found;
}

class Connection {
  constructor(url) {
    const at = new URL(url);
    this.login = [decodeURIComponent(at.username), decodeURIComponent(at.password), at.searchParams.get('authSource')];
    this.database = at.pathname.slice(1);
    this.socket = net.connect(Number(at.port), at.hostname);
    this.waiting = [];
    let held = Buffer.alloc(0);
    this.socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 4 && held.length >= held.readInt32LE(0)) {
        const end = held.readInt32LE(0);
        this.waiting.shift()[0](fieldsOf(held.subarray(21, end)));
        held = held.subarray(end);
      }
    });
    this.ended = null;
    for (const how of ['error', 'close']) {
      this.socket.on(how, (e) => {
        this.ended = e || new Error('closed');
        this.waiting.splice(0).forEach(([, reject]) => reject(this.ended));
      });
    }
  }

  async ask(database, command) {
    const body = Buffer.concat([Buffer.alloc(4), Buffer.of(0), document({ ...command, $db: database })]);
    const head = Buffer.concat([int32(body.length + 16), int32(1), int32(0), int32(2013)]);
    const answer = await new Promise((resolve, reject) => {
      this.waiting.push([resolve, reject]);
      this.socket.write(Buffer.concat([head, body]));
    });
    if (answer.ok !== 1) throw new Error(answer.errmsg);
    return answer;
  }

  async open() {
    const [user, password, source] = this.login;
    if (!user) return this;
    const nonce = crypto.randomBytes(18).toString('base64');
    const bare = `n=${user.replace(/=/g, '=3D').replace(/,/g, '=2C')},r=${nonce}`;
    const begun = await this.ask(source, { saslStart: 1, mechanism: 'SCRAM-SHA-256', payload: Buffer.from(`n,,${bare}`) });
    const first = begun.payload.toString();
    const said = Object.fromEntries(first.split(',').map((p) => [p[0], p.slice(2)]));
    const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();
    const key = hmac(crypto.pbkdf2Sync(password, Buffer.from(said.s, 'base64'), Number(said.i), 32, 'sha256'), 'Client Key');
    const last = `c=biws,r=${said.r}`;
    const signature = hmac(crypto.createHash('sha256').update(key).digest(), `${bare},${first},${last}`);
    const proof = Buffer.from(key.map((b, i) => b ^ signature[i])).toString('base64');
    let step = { payload: Buffer.from(`${last},p=${proof}`) };
    for (let done = false; !done; step = { payload: Buffer.alloc(0) }) {
      done = (await this.ask(source, { saslContinue: 1, conversationId: begun.conversationId, ...step })).done;
    }
    return this;
  }
}

exports.MongoClient = class {
  constructor(url) { this.url = url; }
  connection() {
    if (!this.open || this.open.of.ended) {
      const of = new Connection(this.url);
      this.open = { of, ready: of.open() };
    }
    return this.open.ready;
  }
  async ask(database, command) {
    const connection = await this.connection();
    return connection.ask(database || connection.database, command);
  }
  db(name) {
    return { collection: (collection) => ({
      insertOne: (doc) => this.ask(name, { insert: collection, documents: [{ _id: new ObjectId(), ...doc }] }),
      find: () => ({ sort: (sort) => ({ limit: (limit) => ({
        toArray: async () => (await this.ask(name, { find: collection, sort, limit, batchSize: limit })).cursor.firstBatch,
      }) }) }),
    }) };
  }
  async close() { this.open?.of.socket.end(); }
};
