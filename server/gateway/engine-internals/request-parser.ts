import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { holdReading } from './reading.js';

/** The keys of the functions that Node's parser calls with the head of a request and with each piece of a body (`HTTPParser.kOn…`). */
const onHead = 2;
const onBody = 3;

/** Counts the pieces of a body. */
interface PieceCount {
  /** Called with the size of each piece. False: the piece is dropped. */
  readonly admit: (bytes: number) => boolean;
}

const count = Symbol('pieces of the body');
const arrived = Symbol('what has arrived of the body');

type CountedRequest = IncomingMessage & { [count]?: PieceCount; [arrived]?: ArrivedBody };

/** What has arrived of the body of a request. */
interface ArrivedBody {
  pieces: number;
  bytes: number;
}

interface HttpParser {
  [onHead]?: unknown;
  [onBody]?: ((piece: Buffer) => unknown) | null;
  /** The request that is being read. */
  readonly incoming?: CountedRequest | null;
}

/** What Node does with a piece. The same for all parsers. */
let pass: ((this: HttpParser, piece: Buffer) => unknown) | undefined;

/**
 * Counts the pieces of the body of a request from now on, also if nobody reads the body. Node makes an object of half a kilobyte of each piece,
 * and a client can send pieces of one byte.
 */
export function countPieces(request: IncomingMessage, pieces: PieceCount): void {
  const parser = parserOf(request.socket);
  const present = parser?.[onBody];
  if (!parser || !present) return;
  Object.assign(request as CountedRequest, { [count]: pieces, [arrived]: { pieces: 0, bytes: 0 } });
  if (present === admitPiece) return;
  pass ??= present;
  // Node uses a parser for many connections. The requests of others are not counted.
  parser[onBody] = admitPiece;
}

function admitPiece(this: HttpParser, piece: Buffer): unknown {
  const { incoming } = this;
  const body = incoming?.[arrived];
  if (body !== undefined) {
    body.pieces++;
    body.bytes += piece.length;
  }
  return incoming?.[count]?.admit(piece.length) === false ? undefined : pass!.call(this, piece);
}

/** What has arrived of the body of a request whose pieces are counted. */
export function arrivedOf(request: IncomingMessage): Readonly<ArrivedBody> {
  return (request as CountedRequest)[arrived] ?? { pieces: 0, bytes: 0 };
}

/**
 * Takes nothing more from a connection that is being closed. What has been read of it already, up to 64 KiB at once, would still become
 * thousands of requests or pieces; and Node reads up to 2 MiB of a connection in one turn.
 */
export function takeNothingMore(socket: Socket): void {
  holdReading(socket);
  const parser = parserOf(socket);
  if (!parser || !parser[onBody]) return;
  const { [onHead]: head, [onBody]: body } = parser;
  parser[onHead] = null;
  parser[onBody] = null;
  // It is used for other connections afterwards.
  socket.once('close', () => Object.assign(parser, { [onHead]: head, [onBody]: body }));
}

function parserOf(socket: Socket): HttpParser | null | undefined {
  return (socket as { readonly parser?: HttpParser | null }).parser;
}
