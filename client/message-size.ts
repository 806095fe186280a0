import { ClientError } from './client-error.js';

const encoder = new TextEncoder();

/** What is sent as a binary part. */
export function isBinary(value: unknown): value is ArrayBuffer | ArrayBufferView | Blob {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value instanceof Blob;
}

/** Bytes of a value on the wire: its JSON, and its binary parts. */
export function sizeOf(value: unknown): number {
  let binaryBytes = 0;
  const text = JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    // Before toJSON of a Buffer has been called.
    const given = this[key];
    if (!isBinary(given)) return item;
    binaryBytes += given instanceof Blob ? given.size : given.byteLength;
    return 0;
  });
  return (text === undefined ? 0 : encoder.encode(text).length) + binaryBytes;
}

/** @throws ClientError `message_too_large` */
export function checkSize(payload: unknown, limit: number): void {
  const size = sizeOf(payload);
  if (size > limit)
    throw new ClientError('message_too_large', `the payload has ${size} bytes, ${limit} are allowed`, {
      limit,
      size,
    });
}
