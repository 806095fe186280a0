import { createServer, get } from 'node:http';
import WebSocket, { WebSocketServer } from 'ws';
import { freePort } from './wait.js';

/** How a faulty service would deliver: one of so many messages is touched. */
export type WireFault = 'none' | 'drop' | 'double' | 'reorder';

const oneOf = 20;

/** Stands before a replica, and breaks its promises on `/ws`; a GET goes through. */
export class FaultyWire {
  fault: WireFault = 'none';

  private constructor(
    readonly port: number,
    private readonly close: () => Promise<void>,
  ) {}

  static async start(target: string): Promise<FaultyWire> {
    const port = await freePort();
    const server = createServer(({ url, headers }, response) => {
      const passed = get(new URL(url ?? '/', target.replace(/^ws/, 'http')), { headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy());
    });
    const sockets = new WebSocketServer({ server });
    const wire = new FaultyWire(port, async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    sockets.on('connection', (client, request) => {
      const { authorization = '' } = request.headers;
      const service = new WebSocket(`${target}${request.url}`, { headers: { authorization } });
      const early: string[] = [];
      let held: string | undefined;
      let seen = 0;
      service.on('open', () => early.splice(0).forEach((text) => service.send(text)));
      client.on('message', (data: Buffer) =>
        service.readyState === WebSocket.OPEN ? service.send(data.toString()) : early.push(data.toString()),
      );
      service.on('message', (data: Buffer) => {
        const text = data.toString();
        const touched =
          text.startsWith('{"type":"Broadcast"') && wire.fault !== 'none' && ++seen % oneOf === 0;
        if (touched && wire.fault === 'drop') return;
        if (touched && wire.fault === 'reorder') {
          held = text;
          return;
        }
        client.send(text);
        if (touched && wire.fault === 'double') client.send(text);
        if (held !== undefined && text.startsWith('{"type":"Broadcast"')) {
          client.send(held);
          held = undefined;
        }
      });
      for (const [one, other] of [
        [client, service],
        [service, client],
      ] as const) {
        one.on('close', () => other.close());
        one.on('error', () => other.terminate());
      }
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  stop(): Promise<void> {
    return this.close();
  }
}
