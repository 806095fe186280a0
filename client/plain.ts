import { binaryBytesOf } from './message-size.js';

/**
 * A copy of what would be sent: JSON, and binary parts as they are. An app may change its own object afterwards; and a
 * browser refuses to copy some objects that have JSON, such as proxies, or copies them without their `toJSON`.
 */
export function plain(value: unknown): unknown {
  if (binaryBytesOf(value) !== undefined) return value;
  const given =
    typeof (value as { toJSON?: unknown } | null | undefined)?.toJSON === 'function'
      ? (value as { toJSON(): unknown }).toJSON()
      : value;
  if (typeof given !== 'object' || given === null)
    return typeof given === 'function' || typeof given === 'symbol' ? undefined : given;
  if (Array.isArray(given)) return given.map(plain);
  return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, plain(one)]));
}
