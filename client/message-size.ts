import { ClientError } from './client-error.js';

const encoder = new TextEncoder();

/** Bytes of what is sent as a binary part; undefined: it is none. */
export function binaryBytesOf(value: unknown): number | undefined {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  return value instanceof Blob ? value.size : undefined;
}

/** Bytes of a value on the wire: its JSON, and its binary parts. */
export function sizeOf(value: unknown): number {
  let binaryBytes = 0;
  const text = JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    // Before toJSON of a Buffer has been called.
    const given = this[key];
    const bytes = binaryBytesOf(given);
    if (bytes === undefined) return item;
    binaryBytes += bytes;
    return 0;
  });
  // What has no JSON is undefined, and has no bytes.
  return encoder.encode(text).length + binaryBytes;
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
