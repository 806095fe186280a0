import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { resetSocket } from '../reset-socket.js';

/** The service under attack, and the address from which the attacker connects. */
export interface Target {
  readonly port: number;
  readonly localAddress: string;
}

/** WebSocket opcodes of RFC 6455. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/**
 * A WebSocket client frame of any kind. The mask is zero, which is a valid mask (RFC 6455, 5.3), so that an
 * attacker spends no time on it.
 */
export function attackFrame(content: string | Buffer, opcode: number = opcodes.text, fin = true): Buffer {
  const payload = typeof content === 'string' ? Buffer.from(content) : content;
  const { length } = payload;
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(6 + size + length);
  frame[0] = (fin ? 0x80 : 0) | opcode;
  frame[1] = 0x80 | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) frame.writeUInt16BE(length, 2);
  if (size === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  payload.copy(frame, 6 + size);
  return frame;
}

/** The text of an upgrade request. */
export function upgradeRequest(path: string): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: service',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Version: 13',
    '\r\n',
  ].join('\r\n');
}

/** Only the beginning of what a client receives is kept: enough to see that it has joined. */
const keptBytes = 4096;

/** A TCP connection of an attacker. Errors count as an end. */
export class RawClient {
  isClosed = false;
  received = '';

  private constructor(private readonly socket: Socket) {
    socket.on('error', () => {});
    socket.on('close', () => (this.isClosed = true));
    socket.on('data', (data: Buffer) => {
      if (this.received.length < keptBytes) this.received += data.toString('latin1', 0, keptBytes);
    });
  }

  /** Resolves to undefined if the connection cannot be made. */
  static async open({ port, localAddress }: Target): Promise<RawClient | undefined> {
    const client = new RawClient(connect({ port, host: '127.0.0.1', localAddress, noDelay: true }));
    await Promise.race([once(client.socket, 'connect'), once(client.socket, 'close')]).catch(() => {});
    return client.isClosed || client.socket.destroyed ? undefined : client;
  }

  /** Opens a WebSocket. Resolves to undefined if the upgrade is refused. */
  static async upgrade(target: Target, path: string): Promise<RawClient | undefined> {
    const client = await RawClient.open(target);
    if (client === undefined) return undefined;
    client.send(upgradeRequest(path));
    await client.until(() => client.received.includes('\r\n\r\n'), 12_000);
    if (client.received.startsWith('HTTP/1.1 101')) return client;
    client.destroy();
    return undefined;
  }

  send(data: string | Buffer): boolean {
    return this.isClosed || this.socket.write(data);
  }

  /** Sends, then waits until the kernel has taken it. False if that takes longer than the limit. */
  async sendAll(data: Buffer, limitMs = 1000): Promise<boolean> {
    if (this.send(data)) {
      // Otherwise a fast receiver would keep this loop from reading and from other connections.
      await new Promise(setImmediate);
      return !this.isClosed;
    }
    const limit = new AbortController();
    const drained = once(this.socket, 'drain', { signal: limit.signal }).then(
      () => true,
      () => false,
    );
    const timer = setTimeout(() => limit.abort(), limitMs);
    const isSent = await drained;
    clearTimeout(timer);
    return isSent && !this.isClosed;
  }

  /** Reads nothing from now on, so that answers wait at the service. */
  stopReading(): void {
    this.socket.pause();
  }

  async until(condition: () => boolean, limitMs: number): Promise<void> {
    const deadline = Date.now() + limitMs;
    while (!this.isClosed && !condition() && Date.now() < deadline) await sleep(2);
  }

  /** Ends without a farewell. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Ends by a TCP reset. */
  reset(): void {
    resetSocket(this.socket);
  }
}
