import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly at: number;
}

/** What came, and where it went: `GET`, `POST` or `upgrade`, its URL, the index of the replica, and when it came and was answered. */
export interface PassedRequest {
  readonly method: string;
  readonly url: string;
  readonly replica: number;
  readonly status: number;
  readonly at: number;
  readonly answeredAt: number;
}

/**
 * A balancer without sticky sessions: each request, and each upgrade, goes to the next replica. As nginx does it, a request that a replica does
 * not accept is sent to the next one, and so is a GET whose replica breaks off without an answer.
 */
export class RoundRobin {
  readonly passed: PassedRequest[] = [];
  /** The next request with a `sid` goes there. */
  private next = 0;
  private readonly sockets = new Set<Duplex>();
  private readonly server: Server;

  private constructor(private readonly ports: readonly number[]) {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      const at = performance.now();
      request.on('end', () => this.pass({ request, response, body: Buffer.concat(chunks), at }, 0));
    });
    this.server.on('connection', (socket: Socket) => this.track(socket));
    this.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.upgrade(request, socket, head),
    );
  }

  static async start(ports: readonly number[]): Promise<RoundRobin> {
    const balancer = new RoundRobin(ports);
    await new Promise<void>((resolve) => balancer.server.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** The statuses of requests that came so far and were not answered with 200. */
  get failures(): number[] {
    return this.passed.map(({ status }) => status).filter((status) => status !== 200 && status !== 101);
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private pass(exchange: Exchange, attempt: number, replica = this.turn()): void {
    const { request, response, body } = exchange;
    const { method = '', url, headers } = request;
    const onward = httpRequest({
      port: this.ports[replica],
      host: '127.0.0.1',
      method,
      path: url,
      headers: { ...headers, 'x-forwarded-for': request.socket.remoteAddress },
      agent: false,
    });
    onward.on('response', (answer) => {
      this.note(exchange, replica, answer.statusCode);
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else if ((method === 'GET' || code === 'ECONNREFUSED') && attempt < this.ports.length)
        this.pass(exchange, attempt + 1, (replica + 1) % this.ports.length);
      else {
        this.note(exchange, replica, 502);
        response.writeHead(502).end();
      }
    });
    response.on('close', () => {
      if (!response.writableFinished) onward.destroy();
    });
    onward.end(body);
  }

  private upgrade(request: IncomingMessage, client: Duplex, head: Buffer): void {
    const replica = this.turn();
    const at = performance.now();
    const onward = connect(this.ports[replica]!, '127.0.0.1');
    this.track(onward);
    const fields = [];
    for (let at = 0; at < request.rawHeaders.length; at += 2)
      fields.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}\r\n`);
    onward.write(`GET ${request.url} HTTP/1.1\r\n${fields.join('')}\r\n`);
    onward.write(head);
    onward.once('data', (data: Buffer) => {
      const status = Number(/^HTTP\/1.1 (\d+)/.exec(data.toString('latin1'))?.[1] ?? 0);
      this.note({ request, at }, replica, status);
    });
    onward.pipe(client);
    client.pipe(onward);
    onward.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.on('error', () => onward.destroy()).on('close', () => onward.destroy());
  }

  private note({ request, at }: Pick<Exchange, 'request' | 'at'>, replica: number, status = 0): void {
    const { method = '', url = '', headers } = request;
    const kind = headers.upgrade === undefined ? method : 'upgrade';
    this.passed.push({ method: kind, url, replica, status, at, answeredAt: performance.now() });
  }

  private turn(): number {
    this.next = (this.next + 1) % this.ports.length;
    return this.next;
  }

  private track(socket: Duplex): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket)).on('error', () => {});
  }
}
