import { WebSocket, WebSocketServer, type ServerOptions } from 'ws';
import { closeReasons, closeTimeoutMs } from '../close-codes.js';

/** A WebSocket whose close frame always has a code. engine.io closes without one. */
class CodedWebSocket extends WebSocket {
  override close(code?: number, text?: string | Buffer): void {
    if (code === undefined) super.close(...closeReasons.disconnected);
    else super.close(code, text);
  }
}

/**
 * The WebSocket server of both wires; engine.io creates it through its `wsEngine` option. The connection of a
 * client that does not answer the close frame is terminated.
 */
export class CodedWebSocketServer extends WebSocketServer<typeof CodedWebSocket> {
  constructor(options: ServerOptions<typeof CodedWebSocket>) {
    const all = { closeTimeout: closeTimeoutMs, ...options, WebSocket: CodedWebSocket };
    super(all);
  }
}
