import type { Server } from 'node:http';
import { Duplex } from 'node:stream';

/** Bytes of what the service has sent that a client keeps, to find an answer that comes in pieces. */
const keptBytes = 8192;

/**
 * A client of `/ws` in the process of the service, without TCP and file descriptors: so there can be more of them than a process may open.
 * It is the service's side of the connection; everything above the socket is real.
 */
export class MemoryClient extends Duplex {
  // What Node's HTTP server reads of a socket.
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  private received = '';
  private awaited: { readonly text: string; readonly found: () => void } | undefined;

  /** Connects, and resolves when it has been admitted. */
  static async connect(server: Server, token: string): Promise<MemoryClient> {
    const client = new MemoryClient();
    server.emit('connection', client);
    const admitted = client.receives('"connected"');
    client.push(
      `GET /ws?token=${token} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await admitted;
    return client;
  }

  /** Sends a frame, and resolves when the service has sent a text. */
  async ask(command: object, answer: string): Promise<string> {
    const answered = this.receives(answer);
    this.push(frame(0x81, Buffer.from(JSON.stringify(command))));
    return answered;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // A ping of WebSocket, with less than 126 bytes: its answer.
    if (chunk[0] === 0x89 && chunk.length === 2 + chunk[1]!) this.push(frame(0x8a, chunk.subarray(2)));
    if (this.awaited !== undefined) {
      this.received = (this.received + chunk.toString('latin1')).slice(-keptBytes);
      if (this.received.includes(this.awaited.text)) this.awaited.found();
    }
    done();
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  private receives(text: string): Promise<string> {
    this.received = '';
    return new Promise((resolve, reject) => {
      const fail = () => reject(new Error(`the connection has ended: ${this.received}`));
      this.once('close', fail);
      this.awaited = {
        text,
        found: () => {
          this.off('close', fail);
          this.awaited = undefined;
          resolve(this.received);
        },
      };
    });
  }
}

/** A frame with a mask of zeros. */
function frame(opcode: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(payload.length < 126 ? 6 : 8);
  head[0] = opcode;
  if (payload.length < 126) head[1] = 0x80 | payload.length;
  else {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([head, payload]);
}
