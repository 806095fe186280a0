/**
 * Plain Socket.IO with @socket.io/redis-adapter, set up as its documentation shows. One replica without
 * REDIS_URL; RECOVERY=on: with connection state recovery, which that adapter does not have.
 */
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import jwt from 'jsonwebtoken';
import { createClient } from 'redis';
import { Server } from 'socket.io';

interface Publish {
  readonly topic: string;
  readonly payload: unknown;
}

async function main(): Promise<void> {
  const http = createServer();
  const io = new Server(http, process.env['RECOVERY'] === 'on' ? { connectionStateRecovery: {} } : {});
  const url = process.env['REDIS_URL'];
  if (url !== undefined) {
    const publisher = createClient({ url, commandOptions: { timeout: 0 } });
    const subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);
    io.adapter(createAdapter(publisher, subscriber));
  }
  io.use((socket, next) => {
    try {
      socket.data = jwt.verify(String(socket.handshake.auth['token']), process.env['JWT_SECRET']!);
      next();
    } catch (error) {
      next(error as Error);
    }
  });
  let id = 0;
  io.on('connection', (socket) => {
    const sender = (socket.data as { sub: string }).sub;
    socket.on('subscribe', async ({ topics }: { topics: string[] }, answer: (result: object) => void) => {
      await socket.join(topics);
      answer({ ok: true });
    });
    socket.on('publish', ({ topic, payload }: Publish, answer: (result: object) => void) => {
      io.to(topic).emit('message', { id: String(++id), topic, sender, timestamp: Date.now(), payload });
      answer({ ok: true, id: String(id) });
    });
  });
  // With Node's 511, connections that come at once wait for a second and more in the kernel; ours has this number too.
  const backlog = 4096;
  http.listen(Number(process.env['PORT']), '127.0.0.1', backlog, () => process.send?.('ready'));
}

void main();
