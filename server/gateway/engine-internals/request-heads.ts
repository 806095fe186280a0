import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** The keys of the functions that Node's parser calls when a message begins, and when it has parsed a chunk (`HTTPParser.kOn…`). */
const onBegin = 0;
const onChunk = 5;

interface HeadParser {
  [onBegin]?: (() => void) | null;
  [onChunk]?: ((result: unknown) => void) | null;
  /** Called with each request whose head is complete. */
  onIncoming?: ((request: IncomingMessage, keepsAlive: boolean) => unknown) | null;
  /** Its connection, while it parses one. */
  readonly socket?: Socket | null;
  /** It reads the connection itself, without events for data. */
  readonly _consumed?: boolean;
}

/**
 * Calls back with the bytes that have arrived of a request head, whenever a chunk has come and the head is not complete, and with 0 when it
 * is. Node keeps what has arrived of each head, as text of many parts. To be called when Node has attached its parser, which forgets these functions
 * when the connection closes or is upgraded.
 */
export function watchHeads(socket: Socket, onHeld: (socket: Socket, bytes: number) => void): void {
  const { parser } = socket as Socket & { readonly parser?: HeadParser | null };
  const { [onChunk]: chunkParsed, onIncoming } = parser ?? {};
  if (!parser || !chunkParsed || !onIncoming) return;
  let isUnfinished = false;
  let held = 0;
  const arrived = (bytes: number) => {
    if (!isUnfinished || parser.socket !== socket) return;
    held += bytes;
    onHeld(socket, held);
  };
  const onData = (data: Buffer) => arrived(data.length);
  parser[onBegin] = () => (isUnfinished = true);
  parser.onIncoming = (request, keepsAlive) => {
    isUnfinished = false;
    if (held > 0) onHeld(socket, (held = 0));
    if ((request as { upgrade?: boolean }).upgrade === true) socket.off('data', onData);
    return onIncoming(request, keepsAlive);
  };
  // Of a connection whose request is read again (`plain-request.ts`) Node gives the parser what events bring.
  if (parser._consumed !== true) {
    socket.on('data', onData);
    return;
  }
  let before = socket.bytesRead;
  parser[onChunk] = (result) => {
    const bytes = socket.bytesRead - before;
    before += bytes;
    chunkParsed(result);
    arrived(bytes);
  };
}
