const path = require('node:path');
const { Server } = require('socket.io');
const fastify = require('fastify')({ logger: true });

const entries = [{ text: 'first' }];
fastify.register(require('@fastify/cookie'));
fastify.register(require('@fastify/formbody'));
fastify.register(require('@fastify/static'), { root: path.join(__dirname, 'public') });
fastify.get('/api/entries', async (request, reply) => {
  reply.setCookie('sid', 'abc', { path: '/' });
  return entries;
});
fastify.post('/api/entries', async (request, reply) => {
  entries.push({ text: request.body.text });
  reply.code(201);
  return entries.at(-1);
});
fastify.post('/sign', async (request, reply) => reply.redirect('/about.html', 303));
fastify.get('/go', async (request, reply) => reply.redirect('/about.html'));

const io = new Server(fastify.server);
io.on('connection', (socket) => {
  socket.emit('message', 'welcome');
  socket.on('message', (text) => io.emit('message', text));
});

fastify.listen({ port: process.env.PORT || 3000, host: '0.0.0.0' }, (error) => {
  if (error) {
    fastify.log.error(error);
    process.exit(1);
  }
});
