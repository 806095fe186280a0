import type { LogFields } from './log.js';
import { cleanText, cutText } from './log-text.js';

/** Key names of secrets. The id of a token is not one: operators revoke tokens by it. */
const secretKey =
  /token(?!_?id$)|secret|pass(word|wd|phrase)|pwd|authorization|cookie|jwt|credential|(api|private|signing)[-_]?key/i;
/** Numbers under other secret key names are counts and times. */
const secretNumber = /pass|pwd|secret$/i;
/** Field names used by the log itself. A field with such a name gets an underscore. */
const ownNames: readonly string[] = ['level', 'timestamp', 'target', 'message'];
const depthLimit = 4;
const itemLimit = 100;
/** Characters of one text, of a stack, and of a key. */
const textLimit = 2000;
const stackLimit = 8000;
const keyLimit = 100;
/** Characters of all values together. */
const totalLimit = 16_000;

/**
 * Prepares fields for the log: without secrets, with bounded depth and length, errors with their stack.
 *
 * @param shown applied to each text and key, after it was cut
 */
export function cleanFields(
  fields: LogFields | undefined,
  shown: (text: string) => string = same,
): Record<string, unknown> {
  const cleaner = new Cleaner(shown);
  return Object.fromEntries(
    Object.entries(fields ?? {}).map(([key, value]) => [
      ownNames.includes(key) ? `${key}_` : key,
      cleaner.value(key, value, depthLimit),
    ]),
  );
}

/** A message of the log: without secrets, and bounded. */
export function cleanMessage(message: string, shown: (text: string) => string = same): string {
  return shown(cutText(cleanText(message), textLimit));
}

/**
 * A value that is safe to show: secrets are removed, also if `key` names one, and depth and length are
 * bounded.
 */
export function cleanValue(key: string, value: unknown): unknown {
  return new Cleaner(same).value(key, value, depthLimit);
}

function same(text: string): string {
  return text;
}

/** Cleans the values of one line. */
class Cleaner {
  /** Characters that are left of {@link totalLimit}. */
  private left = totalLimit;

  constructor(private readonly shown: (text: string) => string) {}

  /** Anything can be thrown, and is logged then. A line that cannot be written must not end the program. */
  value(key: string, value: unknown, depthLeft: number): unknown {
    try {
      return this.cleaned(key, value, depthLeft);
    } catch {
      return '[cannot be shown]';
    }
  }

  private cleaned(key: string, value: unknown, depthLeft: number): unknown {
    if (
      typeof value === 'number' ? secretNumber.test(key) : typeof value !== 'boolean' && secretKey.test(key)
    )
      return '[redacted]';
    if (typeof value === 'string') return this.text(value, textLimit);
    if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
    // Writing the line would call one that is named `toJSON`.
    if (typeof value === 'function') return '[function]';
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Date) return value;
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (depthLeft === 0) return '[deep]';
    if (value instanceof Error) return this.error(value, depthLeft - 1);
    if (Array.isArray(value)) return this.list(value, depthLeft);
    return this.object(value, depthLeft);
  }

  private list(value: readonly unknown[], depthLeft: number): unknown[] {
    const cleaned: unknown[] = [];
    for (const item of value.slice(0, itemLimit)) {
      if (this.left <= 0) break;
      cleaned.push(this.value('', item, depthLeft - 1));
    }
    return cleaned;
  }

  private object(value: object, depthLeft: number): object {
    const cleaned: [string, unknown][] = [];
    for (const [name, item] of Object.entries(value).slice(0, itemLimit)) {
      if (this.left <= 0) break;
      cleaned.push([this.text(name, keyLimit), this.value(name.slice(0, textLimit), item, depthLeft - 1)]);
    }
    return Object.fromEntries(cleaned);
  }

  /** Includes the other properties of the error: `code`, `cause`. */
  private error(error: Error, depthLeft: number): Record<string, unknown> {
    const { name, message, stack, cause } = error;
    return {
      ...(this.value('', { ...error }, depthLeft) as object),
      type: this.text(name, keyLimit),
      message: this.text(message, textLimit),
      stack: this.stack(stack ?? '', message),
      ...(cause !== undefined && { cause: this.value('cause', cause, depthLeft) }),
    };
  }

  /** Keeps the ends of its own lines, not those of the message in it. */
  private stack(stack: string, message: string): string {
    const at = stack.indexOf(message);
    const text = at < 0 ? stack : stack.slice(0, at) + this.shown(message) + stack.slice(at + message.length);
    return this.cut(text, stackLimit).split('\n').map(this.shown).join('\n');
  }

  private text(text: string, limit: number): string {
    return this.shown(this.cut(text, limit));
  }

  private cut(text: string, limit: number): string {
    const cut = cutText(cleanText(text), Math.max(0, Math.min(limit, this.left)));
    this.left -= cut.length;
    return cut;
  }
}
