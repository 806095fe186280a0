/** The protocol of a side: Socket.IO over Engine.IO, or plain JSON text frames. */
export type BenchWire = 'socketio' | 'json';

/**
 * A WebSocket client frame. The mask is zero, which is a valid mask (RFC 6455, 5.3), so that the text need
 * not be copied twice.
 */
export function clientFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const head = length < 126 ? 6 : 8;
  const frame = Buffer.alloc(head + length);
  frame[0] = 0x81;
  if (length < 126) frame[1] = 0x80 | length;
  else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  }
  frame.write(text, head);
  return frame;
}

/**
 * Calls back with the start and end of each text frame's payload in a chunk. Returns the number of bytes at
 * the end that are not a complete frame yet.
 */
export function eachFrame(chunk: Buffer, onFrame: (start: number, end: number) => void): number {
  const { length } = chunk;
  let at = 0;
  while (at + 2 <= length) {
    let size = chunk[at + 1]! & 0x7f;
    let start = at + 2;
    if (size === 126) {
      if (at + 4 > length) break;
      size = (chunk[at + 2]! << 8) | chunk[at + 3]!;
      start = at + 4;
    } else if (size === 127) {
      if (at + 10 > length) break;
      size = chunk.readUInt32BE(at + 6);
      start = at + 10;
    }
    const end = start + size;
    if (end > length) break;
    onFrame(start, end);
    at = end;
  }
  return length - at;
}
