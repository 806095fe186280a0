import { WebSocket, WebSocketServer, type ServerOptions } from 'ws';
import { closeReasons, closeTimeoutMs } from '../close-codes.js';
import { selectProtocol } from '../../protocol/token-protocol.js';
import type { EngineConnection } from './engine-connection.js';

/** The code by which ws closes a connection after a frame above its `maxPayload` (RFC 6455, 7.4.1). */
const tooBig = 1009;

/**
 * A WebSocket whose close frame always has a code and a text: engine.io closes without a code, and ws without a text where a frame is too
 * large.
 */
class CodedWebSocket extends WebSocket {
  /** Largest frame of a server's clients. It belongs to the class, so that no connection has to hold it. */
  static readonly limitBytes: number = 0;
  /** Set only where it is so: connections are many. */
  declare isClosedAsTooLarge?: true;

  override close(code?: number, text?: string | Buffer): void {
    if (code === undefined) super.close(...closeReasons.disconnected);
    else if (code === tooBig && text === undefined) {
      this.isClosedAsTooLarge = true;
      super.close(...closeReasons.tooLarge((this.constructor as typeof CodedWebSocket).limitBytes));
    } else super.close(code, text);
  }
}

/**
 * The WebSocket server of both wires; engine.io creates it through its `wsEngine` option. The connection of a
 * client that does not answer the close frame is terminated.
 */
export class CodedWebSocketServer extends WebSocketServer<typeof CodedWebSocket> {
  constructor(options: ServerOptions<typeof CodedWebSocket> & { readonly maxPayload: number }) {
    const LimitedWebSocket = class extends CodedWebSocket {
      static override readonly limitBytes = options.maxPayload;
    };
    const own = { closeTimeout: closeTimeoutMs, handleProtocols: selectProtocol };
    super({ ...own, ...options, WebSocket: LimitedWebSocket });
  }
}

/** Whether a connection was closed because the client sent a frame above the limit. */
export function isClosedAsTooLarge({ transport: { socket } }: EngineConnection): boolean {
  return socket instanceof CodedWebSocket && socket.isClosedAsTooLarge === true;
}
