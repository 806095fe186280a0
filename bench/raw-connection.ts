import { connect, type Socket } from 'node:net';
import { clientFrame, eachFrame } from './wire.js';

/** A WebSocket connection of a load process, without a library: what the load costs is not to be measured. */
export abstract class RawConnection {
  socket: Socket | undefined;
  private rest: Buffer | undefined;
  private isOpen = false;

  /** Called with the place of each frame's payload in a chunk. */
  protected abstract onFrame(chunk: Buffer, start: number, end: number): void;
  /** The upgrade was answered. */
  protected abstract onOpen(): void;
  /** The upgrade was refused, with this response, as far as it has come. */
  protected abstract onRefused(response: string): void;

  send(text: string): void {
    this.socket!.write(clientFrame(text));
  }

  /** Opens a connection; a former one has to be closed before. */
  protected open(port: number, path: string): Socket {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket = socket;
    this.rest = undefined;
    this.isOpen = false;
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    );
    socket.on('data', (data: Buffer) => {
      if (this.socket === socket) this.onData(data);
    });
    return socket;
  }

  private onData(data: Buffer): void {
    let chunk = this.rest === undefined ? data : Buffer.concat([this.rest, data]);
    this.rest = undefined;
    if (!this.isOpen) {
      const end = chunk.indexOf('\r\n\r\n');
      if (end < 0) {
        this.rest = chunk;
        return;
      }
      if (!chunk.toString('latin1', 0, 12).startsWith('HTTP/1.1 101')) {
        this.onRefused(chunk.toString('latin1'));
        return;
      }
      this.isOpen = true;
      chunk = chunk.subarray(end + 4);
      this.onOpen();
    }
    const left = eachFrame(chunk, (start, stop) => this.onFrame(chunk, start, stop));
    if (left > 0)
      this.rest = left === chunk.length ? chunk : Buffer.from(chunk.subarray(chunk.length - left));
  }
}
