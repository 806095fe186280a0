import type { IncomingMessage } from 'node:http';
import type { Socket } from 'socket.io';
import type { OutboxTransport } from '../../server/fanout/outbox-transport.js';
import type {
  EngineConnection,
  WaitingPacket,
  WriteOptions,
} from '../../server/gateway/engine-internals/engine-connection.js';
import { SocketTransport } from '../../server/gateway/engine-internals/socket-transport.js';
import type { FakeClock } from './fake-clock.js';

/** Data in flight to the client. */
interface Sent {
  readonly texts: readonly string[];
  bytes: number;
}

/**
 * An Engine.IO connection whose client reads when the test says so. As in engine.io, the transport takes the
 * whole `writeBuffer` at once, is not writable until the kernel has taken it, and then calls back. The TCP
 * socket can be written to directly.
 */
export class FakeTransport implements EngineConnection {
  readonly id: string;
  readonly request = {} as IncomingMessage;
  readyState = 'open';
  writeBuffer: WaitingPacket[] = [];
  /** Whether the client reads everything at once. */
  reading = true;
  /** The data that the client has read. */
  readonly received: string[] = [];
  readonly transport: EngineConnection['transport'] & { writable: boolean };
  private readonly tcp = {
    writableLength: 0,
    write: (frames: Buffer) => this.send(textsOf(frames), frames.length),
  };
  private readonly sent: Sent[] = [];
  private taken: (() => void)[] = [];
  private callbacks: (() => void)[] = [];

  constructor(
    private readonly clock: FakeClock,
    id: string,
    private readonly kind: 'websocket' | 'polling',
  ) {
    this.id = id;
    const socket = { readyState: 1, _socket: this.tcp };
    this.transport = (
      kind === 'websocket' ? { name: kind, writable: true, socket } : { name: kind, writable: true }
    ) as FakeTransport['transport'];
  }

  /** The interface for an outbox. */
  forOutbox(): OutboxTransport {
    return new SocketTransport({ conn: this, listenersAnyOutgoing: () => [] } as unknown as Socket);
  }

  listenerCount(): number {
    return 0;
  }

  /** Number of messages (without other events) that the client has not read. */
  get waitingMessages(): number {
    const inTransport = this.sent.flatMap(({ texts }) => texts);
    const inBuffer = this.writeBuffer.flatMap(textsOfPacket);
    return [...inTransport, ...inBuffer].filter((text) => /^42\["message"|^\{"type":"Broadcast"/.test(text))
      .length;
  }

  write(data: string | Buffer, options: WriteOptions = {}, callback?: () => void): void {
    if (this.readyState !== 'open') return;
    this.writeBuffer.push({ type: 'message', data, options });
    if (callback !== undefined) this.callbacks.push(callback);
    this.flush();
  }

  close(): void {
    this.readyState = 'closed';
    this.transport.writable = false;
  }

  /** The client reads this many bytes; on long-polling, it polls. */
  read(bytes = Infinity): void {
    let left = bytes;
    for (let first = this.sent[0]; first !== undefined && left > 0; first = this.sent[0]) {
      const read = Math.min(left, first.bytes);
      left -= read;
      first.bytes -= read;
      this.tcp.writableLength -= read;
      if (first.bytes === 0) this.received.push(...this.sent.shift()!.texts);
    }
    if (this.sent.length === 0) this.onTaken();
  }

  resume(): void {
    this.reading = true;
    this.read();
  }

  private flush(): void {
    if (!this.transport.writable || this.writeBuffer.length === 0) return;
    const packets = this.writeBuffer;
    this.writeBuffer = [];
    this.taken = this.callbacks;
    this.callbacks = [];
    this.transport.writable = false;
    for (const packet of packets) {
      const texts = textsOfPacket(packet);
      this.send(texts, texts.join('').length + 1);
    }
    // A real transport calls back in a later turn, however fast it is.
    if (this.sent.length === 0) this.clock.setImmediate(() => this.onTaken());
  }

  private send(texts: readonly string[], bytes: number): void {
    if (this.reading && this.sent.length === 0) {
      this.received.push(...texts);
      return;
    }
    this.sent.push({ texts, bytes });
    this.tcp.writableLength += bytes;
  }

  private onTaken(): void {
    if (this.readyState !== 'open' || this.sent.length > 0) return;
    this.transport.writable = true;
    const { taken } = this;
    this.taken = [];
    for (const callback of taken) callback();
    this.flush();
  }
}

function textsOfPacket({ data, options }: WaitingPacket): string[] {
  const frames = options?.wsPreEncodedFrame;
  return frames === undefined ? [`4${String(data)}`] : frames.flatMap(textsOf);
}

/** The texts of unmasked WebSocket frames (RFC 6455, 5.2). */
function textsOf(frames: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < frames.length;) {
    const short = frames[at + 1]!;
    const [start, length] =
      short < 126
        ? [at + 2, short]
        : short === 126
          ? [at + 4, frames.readUInt16BE(at + 2)]
          : [at + 10, frames.readUInt32BE(at + 6)];
    texts.push(frames.toString('utf8', start, start + length));
    at = start + length;
  }
  return texts;
}
