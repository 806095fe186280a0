import WebSocket from 'ws';
import { tokenOf } from './replica.js';

/** A gap announced by the service. */
export interface AnnouncedGap {
  readonly sequence: number;
  readonly dropped?: number;
  readonly previous?: { readonly sequence: number };
}

/**
 * A Socket.IO subscriber on a bare WebSocket, which can stop reading at the TCP level. It stores what is
 * needed to check the order.
 */
export class RawReader {
  readonly sequences: number[] = [];
  readonly gaps: AnnouncedGap[] = [];
  longestDelayMs = 0;
  private readonly webSocket: WebSocket;
  private subscribed: (() => void) | undefined;

  private constructor(
    url: string,
    private readonly userId: string,
    private readonly topic: string,
  ) {
    this.webSocket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    this.webSocket.on('message', (data: Buffer) => this.onPacket(data));
    this.webSocket.on('error', () => {});
  }

  static async open(url: string, userId: string, topic: string): Promise<RawReader> {
    const reader = new RawReader(url, userId, topic);
    await new Promise<void>((resolve) => (reader.subscribed = resolve));
    return reader;
  }

  /** Stops reading from the TCP socket: first the kernel buffers fill, then those of the service. */
  stall(): void {
    this.tcp.pause();
  }

  resume(): void {
    this.tcp.resume();
  }

  get closed(): boolean {
    return this.webSocket.readyState === WebSocket.CLOSED;
  }

  close(): void {
    this.tcp?.resume();
    this.webSocket.terminate();
  }

  private get tcp(): { pause(): void; resume(): void } {
    return (this.webSocket as unknown as { _socket: { pause(): void; resume(): void } })._socket;
  }

  private onPacket(data: Buffer): void {
    const head = data.toString('latin1', 0, 40);
    const sequence = /^42\["message",\{"sequence":(\d+)/.exec(head)?.[1];
    if (sequence !== undefined) {
      this.sequences.push(Number(sequence));
      const sentAt = /"at":(\d+)/.exec(data.toString('latin1', data.length - 40))?.[1];
      if (sentAt !== undefined)
        this.longestDelayMs = Math.max(this.longestDelayMs, Date.now() - Number(sentAt));
    } else if (head.startsWith('42["gap"'))
      this.gaps.push((JSON.parse(data.toString().slice(2)) as [string, AnnouncedGap])[1]);
    else if (head.startsWith('0{'))
      this.webSocket.send(`40${JSON.stringify({ token: tokenOf(this.userId) })}`);
    else if (head.startsWith('40{')) this.webSocket.send(`421["subscribe",{"topics":["${this.topic}"]}]`);
    else if (head.startsWith('431[')) this.subscribed?.();
    else if (head === '2') this.webSocket.send('3');
  }
}
