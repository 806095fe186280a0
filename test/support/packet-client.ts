import WebSocket from 'ws';
import { tokenOf } from './replica.js';
import { until } from './wait.js';

/** The TCP socket under a WebSocket. */
interface Tcp {
  cork(): void;
  uncork(): void;
  pause(): void;
  setNoDelay(on: boolean): void;
  write(bytes: Buffer | string): void;
}

/**
 * A bare WebSocket at `/socket.io/` that sends and receives Engine.IO packets as text, for clients that
 * behave unusually.
 */
export class PacketClient {
  readonly packets: string[] = [];
  closeCode: number | undefined;
  closeText = '';
  private readonly webSocket: WebSocket;

  private constructor(url: string) {
    this.webSocket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    this.webSocket.on('error', () => {});
    this.webSocket.on('close', (code, text) => {
      this.closeText = text.toString();
      this.closeCode = code;
    });
    this.webSocket.on('message', (data: Buffer) => {
      const packet = data.toString();
      if (packet === '2') this.webSocket.send('3');
      else this.packets.push(packet);
    });
  }

  static async open(url: string): Promise<PacketClient> {
    const client = new PacketClient(url);
    await until(() => client.packets.length > 0 || client.closeCode !== undefined, 'the transport is open');
    if (client.packets.length === 0) throw new Error(`the transport was not opened: ${client.closeCode}`);
    return client;
  }

  /** The packet by which a user joins the main namespace. */
  static joining(userId: string): string {
    return `40${JSON.stringify({ token: tokenOf(userId) })}`;
  }

  /** Sends packets in one piece, so that they arrive together. Buffers are binary parts. */
  send(...packets: (string | Buffer)[]): void {
    this.tcp.cork();
    for (const packet of packets) this.webSocket.send(packet);
    this.tcp.uncork();
  }

  /** Sends one text message in these fragments. */
  sendFragments(...fragments: readonly string[]): void {
    this.tcp.cork();
    fragments.forEach((fragment, n) => this.webSocket.send(fragment, { fin: n === fragments.length - 1 }));
    this.tcp.uncork();
  }

  /** Sends a packet of less than 64 KiB in pieces of so many bytes, each in a write of its own, until it is closed. */
  async sendInChunks(packet: string, chunkBytes: number): Promise<void> {
    const { tcp } = this;
    tcp.setNoDelay(true);
    const head = Buffer.alloc(8);
    head[0] = 0x81;
    head[1] = 0x80 | 126;
    head.writeUInt16BE(packet.length, 2);
    tcp.write(head);
    for (let at = 0; at < packet.length - 1 && this.closeCode === undefined; at += chunkBytes) {
      tcp.write(packet.slice(at, at + chunkBytes));
      await new Promise(setImmediate);
    }
  }

  /** Sends the head of a frame of less than 64 KiB, and so many bytes of its content. */
  sendBeginning(frameBytes: number, bytes: number): void {
    const head = Buffer.alloc(8);
    head[0] = 0x81;
    head[1] = 0x80 | 126;
    head.writeUInt16BE(frameBytes, 2);
    this.tcp.write(Buffer.concat([head, Buffer.alloc(bytes, 'x')]));
  }

  async join(userId: string): Promise<void> {
    const before = this.of('42["status"').length;
    this.send(PacketClient.joining(userId));
    await until(() => this.of('42["status"').length > before, `${userId} has joined`);
  }

  /** The received packets with this prefix. */
  of(prefix: string): string[] {
    return this.packets.filter((packet) => packet.startsWith(prefix));
  }

  /** From now on reads nothing, not even the close frame. */
  stall(): void {
    this.tcp.pause();
  }

  close(): void {
    this.webSocket.terminate();
  }

  private get tcp(): Tcp {
    return (this.webSocket as unknown as { _socket: Tcp })._socket;
  }
}
