// A to-do list in MongoDB. The platform gives the database's address as MONGODB_URI.
'use strict';
const http = require('node:http');
const { MongoClient } = require('mongodb');

const client = new MongoClient(process.env.MONGODB_URI || 'mongodb://127.0.0.1:27017/todo', { maxPoolSize: 5 });
const todos = () => client.db(process.env.FUNAI_MONGO_DB_NAME || undefined).collection('todos');

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
  if (path === '/internal/health' || path === '/') return response.end('POST {"text": …} to api/todos, GET it back\n');
  if (path !== '/api/todos') return response.writeHead(404).end();
  if (request.method === 'POST') {
    const { text } = await body(request);
    await todos().insertOne({ text: String(text).slice(0, 200) });
  }
  const items = await todos().find().sort({ _id: 1 }).limit(200).toArray();
  response.setHeader('Content-Type', 'application/json').end(JSON.stringify(items));
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((e) => {
    console.error(e.message);
    if (!response.headersSent) response.writeHead(e.status || (e instanceof SyntaxError ? 400 : 503));
    response.end();
  });
});

process.on('SIGTERM', () => server.close(() => client.close().then(() => process.exit(0))));
server.listen(3000, () => console.log('listening on 3000')); // the client connects with its first question
