import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdapter } from '@socket.io/redis-adapter';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';
import { Server, type Socket } from 'socket.io';
import { loadSettings, Service } from '../../server/index.js';
import { freePort } from './wait.js';
import { secret } from './replica.js';

/** The server that a program embeds: plain Socket.IO, or this service. */
export type ProgramKind = 'plain Socket.IO' | 'the service';

/** The common interface of both kinds. */
interface Embedded {
  readonly io: Server;
  readonly port: number;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** The program's own code for one socket of any namespace. */
function ownEvents(socket: Socket): void {
  socket.data = { ...(socket.data as object), tag: 'set by the program' };
  const { handshake } = socket;
  socket.on('echo', (...args: unknown[]) => {
    const reply = args.pop() as (answer: unknown) => void;
    reply(args);
  });
  socket.on('handshake', (reply: (answer: object) => void) =>
    reply({ ...socket.handshake, isSame: socket.handshake === handshake }),
  );
  socket.on('request', (reply: (answer: object) => void) => {
    const { headers, url } = socket.request;
    reply({ headers, url, ofConnection: socket.conn.request.headers });
  });
  socket.on('visits', (reply: (answer: unknown) => void) => {
    const { session: its } = socket.request as unknown as { session: session.Session & { visits?: number } };
    its.visits = (its.visits ?? 0) + 1;
    its.save((error) => reply(error === null || error === undefined ? its.visits : String(error)));
  });
  socket.on('namespace', (reply: (answer: string) => void) => reply(socket.nsp.name));
}

/** A typical program on Socket.IO: sessions of Express, middleware, namespaces, its own events. */
export class EmbeddingProgram {
  /** Responses of the Engine.IO middleware that have ended. */
  endedResponses = 0;
  connectionErrors = 0;

  private constructor(
    readonly io: Server,
    readonly port: number,
    private readonly embedded: Embedded,
  ) {}

  static async start(kind: ProgramKind, redisUrl: string): Promise<EmbeddingProgram> {
    const embedded = kind === 'the service' ? await embedService(redisUrl) : await embedPlain(redisUrl);
    const program = new EmbeddingProgram(embedded.io, embedded.port, embedded);
    program.setUp();
    await embedded.start();
    return program;
  }

  /** The server side of a client. */
  socketOf(id: string, namespace = '/'): Socket {
    const socket = this.io.of(namespace).sockets.get(id);
    if (socket === undefined) throw new Error(`there is no socket ${id} in ${namespace}`);
    return socket;
  }

  close(): Promise<void> {
    return this.embedded.close();
  }

  private setUp(): void {
    const { io } = this;
    io.engine.use((_request: unknown, response: HttpServer, next: () => void) => {
      response.on?.('close', () => this.endedResponses++);
      next();
    });
    io.engine.use(session({ secret: 'of the program', resave: false, saveUninitialized: true }));
    io.engine.on('initial_headers', (headers: Record<string, string>) => (headers['x-initial'] = '1'));
    io.engine.on('headers', (headers: Record<string, string>) => (headers['x-each'] = '1'));
    io.engine.on('connection_error', () => this.connectionErrors++);
    io.use((socket, next) => {
      if (socket.handshake.auth['refuse'] === undefined) next();
      else next(Object.assign(new Error('refused by the program'), { data: { reason: 'asked for' } }));
    });
    io.on('connection', (socket) => {
      ownEvents(socket);
      const { headers } = socket.handshake;
      const hasSession = 'session' in socket.request;
      socket.on('at connection', (reply: (answer: object) => void) =>
        reply({ tenant: headers['x-tenant'], hasSession }),
      );
      setTimeout(() => socket.on('registered later', (reply: () => void) => reply()), 50);
    });
    io.of('/own').on('connection', ownEvents);
    io.of(/^\/dynamic-\d+$/).on('connection', ownEvents);
    io.of('/slow')
      .use((socket, next) => {
        setTimeout(() => {
          socket.data = { tenant: socket.request.headers['x-tenant'] };
          next();
        }, 50);
      })
      .on('connection', (socket) => socket.emit('tenant', (socket.data as { tenant?: string }).tenant));
  }
}

async function embedService(redisUrl: string): Promise<Embedded> {
  const port = await freePort();
  const service = new Service(
    loadSettings({
      PORT: String(port),
      HOST: '127.0.0.1',
      JWT_SECRET: secret,
      LOG_LEVEL: 'error',
      REDIS_URL: redisUrl,
    }),
  );
  return {
    io: service.io,
    port,
    start: async () => void (await service.start()),
    close: () => service.close(),
  };
}

async function embedPlain(redisUrl: string): Promise<Embedded> {
  const http = createServer(express());
  const io = new Server(http);
  const publisher = createClient({ url: redisUrl });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    io,
    port: (http.address() as AddressInfo).port,
    start: () => Promise.resolve(),
    close: async () => {
      await io.close();
      await publisher.close();
      await subscriber.close();
    },
  };
}
