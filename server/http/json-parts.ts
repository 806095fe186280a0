import type { JsonPiece } from '../protocol/exact-json.js';

/** Smaller pieces are copied: to write each by itself would take longer. */
const wholeFromBytes = 16_384;

/**
 * The bytes of a JSON text in few parts. A large stored message is a part itself, as it is in the log: to copy a page of them for each answer makes
 * megabytes of garbage outside of the heap, which V8 collects late.
 */
export function jsonParts(pieces: readonly JsonPiece[]): readonly Buffer[] {
  const parts: Buffer[] = [];
  let small: JsonPiece[] = [];
  const copySmall = () => {
    if (small.length > 0) parts.push(copyOf(small));
    small = [];
  };
  for (const piece of pieces)
    if (isWhole(piece)) {
      copySmall();
      parts.push(piece);
    } else small.push(piece);
  copySmall();
  return parts;
}

/** Whether a piece is large, and does not keep more in memory than an eighth beside itself: its client may not read for long. */
function isWhole(piece: JsonPiece): piece is Buffer {
  return (
    typeof piece !== 'string' &&
    piece.length >= wholeFromBytes &&
    8 * piece.length >= 7 * piece.buffer.byteLength
  );
}

function copyOf(pieces: readonly JsonPiece[]): Buffer {
  let size = 0;
  for (const piece of pieces) size += Buffer.byteLength(piece);
  // Of its own: a part of a shared slab would keep all of it.
  const copy = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const piece of pieces) at += typeof piece === 'string' ? copy.write(piece, at) : piece.copy(copy, at);
  return copy;
}
