import { RefusalError } from '../../shared/errors.js';
import { checkJsonCost, depthLimit, tooDeep } from './json-cost.js';

/** A value that is written as its own JSON text, which `JSON.stringify` cannot do. */
export abstract class ExactText {
  /** How many were not written as they are, by `JSON.stringify`. See {@link stringify}. */
  static rounded = 0;

  abstract readonly text: string;

  abstract toJSON(): unknown;
}

/**
 * A number of a JSON text that JavaScript's numbers cannot hold: an integer beyond 2^53, more than 15 digits,
 * `1e400`, `-0`. It is kept as it was written, because readers in other languages may have such numbers.
 */
export class ExactNumber extends ExactText {
  constructor(readonly text: string) {
    super();
  }

  toJSON(): number {
    ExactText.rounded++;
    return Number(this.text);
  }
}

/** The JSON text of a stored message. It is sent as it is: to read it only to write it again takes time, and several times its memory. */
export class StoredJson extends ExactText {
  /** @param body the bytes between `head` and the closing brace */
  constructor(
    private readonly head: string,
    private readonly body: Buffer,
  ) {
    super();
  }

  get text(): string {
    return `${this.head}${this.body.toString()}}`;
  }

  get pieces(): readonly JsonPiece[] {
    return [this.head, this.body, '}'];
  }

  toJSON(): null {
    ExactText.rounded++;
    return null;
  }
}

/** A part of a JSON text: text, or its bytes in UTF-8. */
export type JsonPiece = string | Buffer;

/** Longest number, in characters. A client in Python loses a message with a longer one. */
const numberLimit = 100;

/**
 * Reads JSON text as `JSON.parse` does, but keeps the numbers that JavaScript cannot hold.
 *
 * @throws SyntaxError
 * @throws RefusalError as {@link checkJsonCost} and {@link exactTwin}
 */
export function parseExactly(text: string): unknown {
  checkJsonCost(text);
  const value: unknown = JSON.parse(text);
  return exactTwin(text, value) ?? value;
}

/** What a number looks like that JavaScript may not hold, or that it writes in another way. Text in strings may look so too. */
const unusualNumber = /[:,[]\s*(?:-0|-?\d{16}|-?\d+[.eE])/;

/**
 * As {@link parseExactly}, for text that the service has written: no object in it has a key twice. Text without unusual numbers is not written again to compare
 * it, which takes most of the time and memory of reading a long one.
 */
export function parseStored(text: string): unknown {
  return unusualNumber.test(text) ? parseExactly(text) : JSON.parse(text);
}

/**
 * The value of a valid JSON text with all its numbers. Undefined if `value`, as `JSON.parse` has read it, lacks
 * nothing.
 *
 * @throws RefusalError `invalid_json` if an object has a key twice (readers would see different values), or if
 * a number is too long; `invalid_payload` if it is nested without end
 */
export function exactTwin(text: string, value: unknown): unknown {
  // What JavaScript clients send.
  if (isAsWritten(text, value)) return undefined;
  // Many texts are only written in another way, with spaces or as `1.0`: to look first makes little garbage.
  const reader = new ExactReader(text, { builds: false });
  reader.value(0);
  return reader.isExact ? new ExactReader(text, { builds: true }).value(0) : undefined;
}

function isAsWritten(text: string, value: unknown): boolean {
  try {
    return JSON.stringify(value) === text;
  } catch {
    // The value of a JSON text can be written, unless the stack ends first.
    throw tooDeep();
  }
}

/** As `JSON.stringify`, with each {@link ExactText} as it is. */
export function stringify(value: unknown): string {
  const before = ExactText.rounded;
  const text = JSON.stringify(value);
  return ExactText.rounded === before ? text : jsonText(value);
}

/** As {@link stringify}, for a JSON value that certainly has such texts. */
export function jsonText(value: unknown): string {
  if (value instanceof ExactText) return value.text;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${jsonText(item)}`).join(',')}}`;
}

/** As {@link stringify}, in pieces: stored messages need not become text, which is several times their memory where an answer has many. */
export function jsonPieces(value: unknown): readonly JsonPiece[] {
  const before = ExactText.rounded;
  const text = JSON.stringify(value);
  if (ExactText.rounded === before) return [text];
  const pieces: JsonPiece[] = [];
  addPieces(value, pieces);
  return pieces;
}

function addPieces(value: unknown, pieces: JsonPiece[]): void {
  if (value instanceof StoredJson) pieces.push(...value.pieces);
  else if (typeof value !== 'object' || value === null || value instanceof ExactText)
    pieces.push(jsonText(value));
  else if (Array.isArray(value)) {
    value.forEach((item, i) => {
      pieces.push(i === 0 ? '[' : ',');
      addPieces(item, pieces);
    });
    pieces.push(value.length === 0 ? '[]' : ']');
  } else {
    const fields = Object.entries(value).filter(([, item]) => item !== undefined);
    fields.forEach(([key, item], i) => {
      pieces.push(`${i === 0 ? '{' : ','}${JSON.stringify(key)}:`);
      addPieces(item, pieces);
    });
    pieces.push(fields.length === 0 ? '{}' : '}');
  }
}

/** `value` with the numbers of its twin, where it still has them rounded: meanwhile a program may have changed it. */
export function withExactNumbers(value: unknown, twin: unknown): unknown {
  if (twin instanceof ExactNumber) return Object.is(value, Number(twin.text)) ? twin : value;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (typeof twin !== 'object' || twin === null) return value;
  if (Array.isArray(value))
    return value.map((item, i) => withExactNumbers(item, (twin as readonly unknown[])[i]));
  const fields = twin as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withExactNumbers(item, fields[key])]),
  );
}

const space = 0x20;
const [point, zero, nine] = [0x2e, 0x30, 0x39];
const exponents = new Set([0x45, 0x65]);
/** Shorter parts of a text are copied by V8; a longer one would keep the whole text in memory. */
const copiedBelow = 13;
const numberToken = /[-+.0-9eE]+/y;
const literals: Readonly<Record<string, unknown>> = { t: true, f: false, n: null };

/** Reads a text that is known to be valid JSON. */
class ExactReader {
  /** Whether a number was found that JavaScript's numbers cannot hold. */
  isExact = false;
  private at = 0;
  private readonly builds: boolean;

  /** @param options `builds`: whether the value is made. Otherwise the text is only looked at. */
  constructor(
    private readonly text: string,
    { builds }: { readonly builds: boolean },
  ) {
    this.builds = builds;
  }

  value(depth: number): unknown {
    if (depth > depthLimit) throw tooDeep();
    this.skipSpace();
    const first = this.text[this.at]!;
    if (first === '{') return this.object(depth);
    if (first === '[') return this.array(depth);
    if (first === '"') return this.builds ? this.string() : this.passString();
    if (!(first in literals)) return this.number();
    this.at += first === 'f' ? 5 : 4;
    return literals[first];
  }

  private object(depth: number): object {
    const fields: Record<string, unknown> = {};
    for (this.open(); !this.closes('}');) {
      this.skipSpace();
      const key = this.string();
      if (Object.hasOwn(fields, key))
        throw new RefusalError(
          'invalid_json',
          `an object has the key ${JSON.stringify(key.slice(0, 50))} twice`,
        );
      this.skipSpace();
      this.at++;
      const value = this.value(depth + 1);
      if (key !== '__proto__') fields[key] = value;
      // An assignment would not define this key.
      else
        Object.defineProperty(fields, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return fields;
  }

  private array(depth: number): unknown[] {
    const items: unknown[] = [];
    for (this.open(); !this.closes(']');) {
      const item = this.value(depth + 1);
      if (this.builds) items.push(item);
    }
    return items;
  }

  private open(): void {
    this.at++;
  }

  /** Whether the object or list ends here. Passes the end, or the comma before the next item. */
  private closes(end: string): boolean {
    // What was looked for is found.
    if (this.isExact && !this.builds) return true;
    this.skipSpace();
    const isEnd = this.text[this.at] === end;
    if (isEnd || this.text[this.at] === ',') this.at++;
    return isEnd;
  }

  private string(): string {
    const start = this.at;
    this.passString();
    const end = this.at - 1;
    if (end - start <= copiedBelow) {
      const content = this.text.slice(start + 1, end);
      if (!content.includes('\\')) return content;
    }
    return JSON.parse(this.text.slice(start, end + 1)) as string;
  }

  private passString(): void {
    let end = this.at;
    let escapes: number;
    do {
      end = this.text.indexOf('"', end + 1);
      escapes = 0;
      while (this.text[end - 1 - escapes] === '\\') escapes++;
    } while (escapes % 2 === 1);
    this.at = end + 1;
  }

  private number(): number | ExactNumber {
    const start = this.at;
    if (!this.builds && this.passShortNumber()) return 0;
    numberToken.lastIndex = start;
    // `exec` would make a list for each number: garbage many times as large as the text.
    numberToken.test(this.text);
    const token = this.text.slice(start, numberToken.lastIndex);
    this.at = start + token.length;
    if (token.length > numberLimit)
      throw new RefusalError('invalid_json', `a number may have ${numberLimit} characters`, {
        limit: numberLimit,
        size: token.length,
      });
    const rounded = Number(token);
    if (isHeld(token, rounded)) return rounded;
    this.isExact = true;
    return new ExactNumber(token);
  }

  /** Passes digits and a point. Whether that was a number, and JavaScript holds it: it has at most 15 digits, no sign and no exponent. */
  private passShortNumber(): boolean {
    let digits = 0;
    for (; ; this.at++) {
      const character = this.text.charCodeAt(this.at);
      if (character >= zero && character <= nine) digits++;
      else if (character !== point) return digits > 0 && digits <= 15 && !exponents.has(character);
    }
  }

  /** In valid JSON, no other character up to the space stands between its parts. */
  private skipSpace(): void {
    while (this.text.charCodeAt(this.at) <= space) this.at++;
  }
}

/** Whether a double holds the number: any with at most 15 digits in its normal range (IEEE 754), and what JavaScript writes itself. */
function isHeld(token: string, rounded: number): boolean {
  if (String(rounded) === token) return true;
  const digits = significantDigits(token);
  if (digits === 0) return !token.startsWith('-');
  const size = Math.abs(rounded);
  return digits <= 15 && size >= 2 ** -1022 && size < Infinity;
}

/** The number of digits of a number, without zeros before the first and after the last one that is not zero. */
function significantDigits(token: string): number {
  let digits = 0;
  let zeros = 0;
  for (const sign of token) {
    if (sign === 'e' || sign === 'E') break;
    if (sign === '-' || sign === '.') continue;
    if (sign === '0') {
      if (digits > 0) zeros++;
      continue;
    }
    digits += zeros + 1;
    zeros = 0;
  }
  return digits;
}
