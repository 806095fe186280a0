import type { IncomingMessage } from 'node:http';

/** The key of the function that Node's parser calls with each piece of a body (`HTTPParser.kOnBody`). */
const onBody = 3;

/** Counts the pieces of a body. */
export interface PieceCount {
  /** Called with the size of each piece. False: the piece, and all that follow, are dropped. */
  readonly admit: (bytes: number) => boolean;
}

const count = Symbol('pieces of the body');

type CountedRequest = IncomingMessage & { [count]?: PieceCount };

interface HttpParser {
  [onBody]?: (piece: Buffer) => unknown;
  /** The request that is being read. */
  readonly incoming?: CountedRequest | null;
}

/** What Node does with a piece. The same for all parsers. */
let pass: NonNullable<HttpParser[typeof onBody]> | undefined;

/**
 * Counts the pieces of the body of a request from now on, also if nobody reads the body. Node makes an object of half a kilobyte of each piece,
 * and a client can send pieces of one byte.
 */
export function countPieces(request: IncomingMessage, pieces: PieceCount): void {
  const { parser } = request.socket as { readonly parser?: HttpParser | null };
  const present = parser?.[onBody];
  if (!parser || present === undefined) return;
  (request as CountedRequest)[count] = pieces;
  if (present === admitPiece) return;
  pass ??= present;
  // Node uses a parser for many connections. The requests of others are not counted.
  parser[onBody] = admitPiece;
}

function admitPiece(this: HttpParser, piece: Buffer): unknown {
  return this.incoming?.[count]?.admit(piece.length) === false ? undefined : pass!.call(this, piece);
}
