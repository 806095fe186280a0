import type { LogFields } from './log.js';

/** Key names of secrets. The id of a token is not one: operators revoke tokens by it. */
const secretKey =
  /token(?!_?id$)|secret|pass(word|wd|phrase)|pwd|authorization|cookie|jwt|credential|(api|private|signing)[-_]?key/i;
/** Numbers under other secret key names are counts and times. */
const secretNumber = /pass|pwd|secret$/i;
/** The form of a signed token, anywhere in a text. */
const signedToken = /eyJ[\w-]+\.[\w-]+\.[\w-]*/g;
/** The user and password in a URL. */
const credentials = /(\w:\/\/)[^\s/]*@/g;
/** Field names used by the log itself. A field with such a name gets an underscore. */
const ownNames: readonly string[] = ['level', 'timestamp', 'target', 'message'];
const depthLimit = 4;
const itemLimit = 100;

/** Prepares fields for the log: without secrets, with bounded depth and length, errors with their stack. */
export function cleanFields(fields: LogFields | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields ?? {}).map(([key, value]) => [
      ownNames.includes(key) ? `${key}_` : key,
      cleanValue(key, value, depthLimit),
    ]),
  );
}

/** Removes tokens, and passwords in URLs, from a text. */
export function cleanText(text: string): string {
  return text.replace(signedToken, '[redacted]').replace(credentials, '$1[redacted]@');
}

/**
 * A value that is safe to show: secrets are removed, also if `key` names one, and depth and length are
 * bounded.
 */
export function cleanValue(key: string, value: unknown, depthLeft = depthLimit): unknown {
  if (typeof value === 'number' ? secretNumber.test(key) : typeof value !== 'boolean' && secretKey.test(key))
    return '[redacted]';
  if (typeof value === 'string') return cleanText(value);
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depthLeft === 0) return '[deep]';
  if (value instanceof Error) return cleanError(value, depthLeft - 1);
  if (Array.isArray(value))
    return value.slice(0, itemLimit).map((item) => cleanValue('', item, depthLeft - 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, itemLimit)
      .map(([name, item]) => [name, cleanValue(name, item, depthLeft - 1)]),
  );
}

/** Includes the other properties of the error: `code`, `cause`. */
function cleanError(error: Error, depthLeft: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return {
    ...(cleanValue('', { ...error }, depthLeft) as object),
    type: name,
    message: cleanText(message),
    stack: cleanText(stack ?? ''),
    ...(cause !== undefined && { cause: cleanValue('cause', cause, depthLeft) }),
  };
}
