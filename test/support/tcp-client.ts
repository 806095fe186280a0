import { connect, type Socket as TcpSocket } from 'node:net';
import { resetSocket } from '../../bench/reset-socket.js';

/** A TCP connection whose client never closes its side by itself, and what it has received. */
export class TcpClient {
  received = '';
  /** The service closed its side. */
  ended = false;
  closed = false;
  private readonly socket: TcpSocket;

  constructor(url: string, localAddress = '127.0.0.1') {
    this.socket = connect({
      port: Number(new URL(url).port),
      host: '127.0.0.1',
      localAddress,
      allowHalfOpen: true,
    });
    this.socket.on('error', () => {});
    this.socket.on('data', (data: Buffer) => (this.received += data.toString()));
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('close', () => (this.closed = true));
  }

  write(text: string): void {
    this.socket.write(text);
  }

  /** Writes one byte for each character. */
  writeBytes(text: string): void {
    this.socket.write(text, 'latin1');
  }

  get(path: string, headers = ''): void {
    this.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
  }

  /** Sends the head of a POST, and the beginning of its body. */
  post(path: string, lengthBytes: number, beginning: string, headers = ''): void {
    this.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${lengthBytes}\r\n${headers}\r\n${beginning}`,
    );
  }

  upgrade(path: string, headers = ''): void {
    this.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n${headers}\r\n`,
    );
  }

  /** Closes the client's side only. */
  halfClose(): void {
    this.socket.end();
  }

  reset(): void {
    resetSocket(this.socket);
  }
}
