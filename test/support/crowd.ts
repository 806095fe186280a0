import WebSocket from 'ws';
import { connectClient } from './clients.js';
import { tokenOf } from './replica.js';

/** How many clients of each kind. */
export interface CrowdSize {
  readonly json: number;
  readonly webSockets: number;
  readonly pollings: number;
}

/** Clients of all kinds, and how each of them learned of its end. */
export class Crowd {
  /** Close codes of `/ws` clients, in the order of their ends. */
  readonly closeCodes: number[] = [];
  /** Reasons of Socket.IO clients. */
  readonly reasons: string[] = [];
  /** When each of them learned of it. */
  readonly endedAt: number[] = [];
  /** Clients that were notified of a drain. */
  notified = 0;
  private readonly closers: (() => void)[] = [];

  private constructor(private readonly url: string) {}

  /** Resolves when all are connected. */
  static async connect(url: string, { json, webSockets, pollings }: CrowdSize): Promise<Crowd> {
    const crowd = new Crowd(url);
    await Promise.all([
      ...Array.from({ length: json }, (_, n) => crowd.addJson(`json-${n}`)),
      ...Array.from({ length: webSockets }, (_, n) => crowd.addSocketIo(`websocket-${n}`, 'websocket')),
      ...Array.from({ length: pollings }, (_, n) => crowd.addSocketIo(`polling-${n}`, 'polling')),
    ]);
    return crowd;
  }

  get ended(): number {
    return this.closeCodes.length + this.reasons.length;
  }

  close(): void {
    for (const close of this.closers) close();
  }

  private async addJson(userId: string): Promise<void> {
    const webSocket = new WebSocket(`${this.url.replace('http', 'ws')}/ws?token=${tokenOf(userId)}`);
    webSocket.on('error', () => {});
    webSocket.on('close', (code) => {
      this.closeCodes.push(code);
      this.endedAt.push(performance.now());
    });
    webSocket.on('message', (data: Buffer) => {
      if (data.includes('"draining"')) this.notified++;
    });
    this.closers.push(() => webSocket.terminate());
    await new Promise((resolve) => webSocket.once('message', resolve));
  }

  private async addSocketIo(userId: string, transport: 'websocket' | 'polling'): Promise<void> {
    const socket = await connectClient(this.url, userId, { transports: [transport] });
    socket.on('disconnect', (reason) => {
      this.reasons.push(reason);
      this.endedAt.push(performance.now());
    });
    socket.on('status', ({ status }: { status: string }) => {
      if (status === 'draining') this.notified++;
    });
    this.closers.push(() => socket.disconnect());
  }
}
