import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { arrivedOf } from './request-parser.js';

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

/** What surrounds a piece of a body in chunks: its size in hexadecimal, and the ends of two lines. */
const bytesAroundPiece = 16;
/** So much else may have arrived of a request: the version in its first line, spaces, the end of the body. */
const bytesOfRest = 256;

/**
 * Calls back with the bytes that have arrived of a request head, or of the trailers behind a body in chunks, whenever a chunk has come and they are
 * not complete, and with 0 when they are. Node keeps what has arrived of each, as text of many parts. To be called when Node has attached its parser,
 * which forgets these functions when the connection closes or is upgraded.
 */
export function watchHeads(socket: Socket, onHeld: (socket: Socket, bytes: number) => void): void {
  const { parser } = socket as Socket & { readonly parser?: HeadParser | null };
  const { [onChunk]: chunkParsed, onIncoming } = parser ?? {};
  if (!parser || !chunkParsed || !onIncoming) return;
  let isUnfinished = false;
  /** The request whose body in chunks, or trailers, have not arrived completely. */
  let inChunks: IncomingMessage | undefined;
  /** What has arrived since the head began, with what came in one chunk before it. */
  let held = 0;
  let isReported = false;
  const arrived = (bytes: number) => {
    if (parser.socket !== socket) return;
    if (inChunks?.complete === true) {
      inChunks = undefined;
      forget();
    }
    if (!isUnfinished && inChunks === undefined) return;
    held += bytes;
    const kept = isUnfinished ? held : held - besideTrailers(inChunks!);
    if (!isUnfinished && kept <= bytesOfRest) return;
    isReported = true;
    onHeld(socket, kept);
  };
  const forget = () => {
    if (isReported) onHeld(socket, 0);
    isReported = false;
  };
  const onData = (data: Buffer) => arrived(data.length);
  const begun = () => {
    isUnfinished = true;
    inChunks = undefined;
    held = 0;
    forget();
  };
  const complete: NonNullable<HeadParser['onIncoming']> = (request, keepsAlive) => {
    isUnfinished = false;
    forget();
    if (request.headers['transfer-encoding'] !== undefined) inChunks = request;
    if ((request as { upgrade?: boolean }).upgrade === true) socket.off('data', onData);
    return onIncoming(request, keepsAlive);
  };
  // V8 makes a function that is written where it is assigned to a property in the old generation, with all that it refers to.
  parser[onBegin] = begun;
  parser.onIncoming = complete;
  // Of a connection whose request is read again (`plain-request.ts`) Node gives the parser what events bring.
  if (parser._consumed !== true) {
    socket.on('data', onData);
    return;
  }
  let before = socket.bytesRead;
  const parsed = (result: unknown) => {
    const bytes = socket.bytesRead - before;
    before += bytes;
    chunkParsed(result);
    arrived(bytes);
  };
  parser[onChunk] = parsed;
}

/** Of a request and its body in chunks, all that is not kept: the head has its own object, and the body its own limits. */
function besideTrailers(request: IncomingMessage): number {
  const { pieces, bytes } = arrivedOf(request);
  const { method = '', url = '', rawHeaders } = request;
  const head = rawHeaders.reduce((sum, { length }) => sum + length, method.length + url.length);
  return head + 2 * rawHeaders.length + bytes + pieces * bytesAroundPiece;
}
