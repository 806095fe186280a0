/**
 * A server that holds idle connections with a part of Socket.IO only, named by LAYER: what each part costs. Every layer has the same exchange with
 * its clients: handshake, `0` (open), the client's `40` (join), `40`. It adds nothing to a connection that the layer does not need.
 */
import { createServer as createHttpServer } from 'node:http';
import {
  createServer as createTcpServer,
  type Server as TcpServer,
  type Socket as TcpSocket,
} from 'node:net';
import { Server } from 'socket.io';
import { WebSocketServer, type WebSocket } from 'ws';

export type Layer = 'tcp' | 'ws' | 'engine' | 'socketio';

/** The ws of the layer below, instead of engine.io's own. */
const options = { wsEngine: WebSocketServer, serveClient: false };

const head =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n';

function frame(text: string): string {
  return `\x81${String.fromCharCode(text.length)}${text}`;
}

const servers: Record<Layer, () => TcpServer> = {
  tcp() {
    function onData(this: TcpSocket, chunk: Buffer): void {
      const isHandshake = chunk.toString('latin1', 0, 3) === 'GET';
      this.write(isHandshake ? head + frame('0') : frame('40'), 'latin1');
    }
    return createTcpServer((socket) => socket.on('data', onData));
  },
  ws() {
    const http = createHttpServer();
    function onMessage(this: WebSocket): void {
      this.send('40');
    }
    new WebSocketServer({ server: http }).on('connection', (webSocket) => {
      webSocket.on('message', onMessage);
      webSocket.send('0');
    });
    return http;
  },
  engine() {
    const http = createHttpServer();
    const { engine } = new Server(http, options);
    function onMessage(this: { write(packet: string): unknown }): void {
      this.write('0');
    }
    // Nothing of Socket.IO but its engine.
    engine.removeAllListeners('connection');
    engine.on('connection', (connection: NodeJS.EventEmitter) => connection.on('message', onMessage));
    return http;
  },
  socketio() {
    const http = createHttpServer();
    new Server(http, options);
    return http;
  },
};

servers[process.env['LAYER'] as Layer]().listen(Number(process.env['PORT']), '127.0.0.1', () =>
  process.send?.('ready'),
);
