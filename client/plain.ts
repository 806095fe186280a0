import { failed } from './client-error.js';
import { globals } from './globals.js';
import { binaryBytesOf } from './message-size.js';

/**
 * A copy of what would be sent: JSON, and binary parts as they are. An app may change its own object afterwards; and a
 * browser refuses to copy some objects that have JSON, such as proxies, or copies them without their `toJSON`.
 *
 * @throws ClientError `invalid_payload`: it contains itself, or what can neither be sent as JSON nor as a binary part
 */
export function plain(value: unknown): unknown {
  try {
    return copy(value);
  } catch (cause) {
    throw failed('invalid_payload', 'cannot be sent', cause);
  }
}

function copy(value: unknown): unknown {
  // Outside of browsers socket.io-client would send a Blob as a frame that the service refuses, by closing the connection.
  if (!globals.FileReader && value instanceof Blob) throw new Error('a Blob, by Node');
  if (binaryBytesOf(value) !== undefined) return value;
  const given =
    typeof (value as { toJSON?: unknown } | null | undefined)?.toJSON === 'function'
      ? (value as { toJSON(): unknown }).toJSON()
      : value;
  // What JSON leaves out is undefined; a BigInt is refused here.
  if (typeof given !== 'object' || given === null) return JSON.stringify(given) && given;
  if (Array.isArray(given)) return given.map(copy);
  return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, copy(one)]));
}
