import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { until } from '../support/wait.js';

/** A frame to send. Its bytes are written one per character. */
export interface SentFrame {
  readonly bytes: string;
  /** Text, unless given. */
  readonly opcode?: number;
  /** False for a fragment. */
  readonly fin?: boolean;
  /** False for a frame without mask, which the protocol forbids. */
  readonly masked?: boolean;
}

/** Bytes to send as they are, one per character, without a frame. */
export interface RawBytes {
  readonly raw: string;
}

/** A WebSocket client that can send anything, and keeps what it receives. */
export class WireClient {
  readonly texts: string[] = [];
  /** The code of the close frame of the service; undefined if there was none, 1005 if it had no code. */
  closeCode: number | undefined;
  /** The TCP connection has ended. */
  hasEnded = false;
  /** The HTTP head of the answer to the upgrade. */
  head = '';
  private received = Buffer.alloc(0);

  private constructor(private readonly socket: Socket) {
    socket.on('error', () => {});
    socket.on('close', () => (this.hasEnded = true));
    socket.on('data', (data: Buffer) => this.onData(data));
  }

  /** Opens a WebSocket, or gets a refusal: then `isOpen` is false. */
  static async open(port: number, path: string): Promise<WireClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client = new WireClient(socket);
    await once(socket, 'connect');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await until(() => client.head !== '' || client.hasEnded, 'the upgrade is answered');
    return client;
  }

  get isOpen(): boolean {
    return this.head.startsWith('HTTP/1.1 101') && !this.isClosed;
  }

  get isClosed(): boolean {
    return this.hasEnded || this.closeCode !== undefined;
  }

  send(frame: SentFrame | RawBytes): void {
    if (this.hasEnded) return;
    if ('raw' in frame) this.socket.write(frame.raw, 'latin1');
    else this.socket.write(encode(frame));
  }

  sendText(text: string): void {
    this.send({ bytes: Buffer.from(text).toString('latin1') });
  }

  destroy(): void {
    this.socket.destroy();
  }

  private onData(data: Buffer): void {
    this.received = Buffer.concat([this.received, data]);
    if (this.head === '') {
      const end = this.received.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.head = this.received.toString('latin1', 0, end);
      this.received = this.received.subarray(end + 4);
    }
    if (this.head.startsWith('HTTP/1.1 101')) this.readFrames();
  }

  private readFrames(): void {
    while (this.received.length >= 2) {
      let length = this.received[1]! & 127;
      let start = 2;
      if (length === 126) {
        if (this.received.length < 4) return;
        [length, start] = [this.received.readUInt16BE(2), 4];
      } else if (length === 127) {
        if (this.received.length < 10) return;
        [length, start] = [Number(this.received.readBigUInt64BE(2)), 10];
      }
      if (this.received.length < start + length) return;
      const opcode = this.received[0]! & 15;
      const payload = this.received.subarray(start, start + length);
      this.received = this.received.subarray(start + length);
      if (opcode === 1) this.texts.push(payload.toString());
      else if (opcode === 8) this.closeCode = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
    }
  }
}

function encode({ bytes, opcode = 1, fin = true, masked = true }: SentFrame): Buffer {
  const payload = Buffer.from(bytes, 'latin1');
  const { length } = payload;
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + size + (masked ? 4 : 0));
  head[0] = (fin ? 0x80 : 0) | opcode;
  // The mask is zero, so that the payload is sent as it is.
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(length, 2);
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}
