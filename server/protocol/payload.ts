import { isBoxedPrimitive } from 'node:util/types';
import { RefusalError } from '../../shared/errors.js';
import { base64Key } from '../../shared/message.js';
import { binaryPartsPerPacket } from './binary-parts.js';
import type { Wire } from './connection.js';
import { ExactNumber, ExactText, jsonText } from './exact-json.js';

export interface PayloadLimits {
  /** Size of the JSON text and the binary parts together. */
  readonly maxBytes: number;
  /** Levels of nesting. */
  readonly maxDepth: number;
}

/** A checked payload: JSON text with a Socket.IO placeholder for each binary part. */
interface ReadPayload {
  readonly json: string;
  readonly attachments: Buffer[];
}

/** Results of the walk over a payload. */
interface Findings {
  binaryParts: number;
  /** It has the key `_placeholder`. */
  placeholder: boolean;
  /** It has numbers that JavaScript cannot hold. */
  exact: boolean;
  /** It has objects that give their own JSON value; only payloads of an embedding program can. */
  custom: boolean;
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Checks a payload and turns it into text. Binary parts are `Buffer`s on Socket.IO and `{ "$base64": "…" }` on the JSON wires.
 *
 * Clients' parsers close the connection of a reader where a packet has too many binary parts, or an object
 * that looks like a placeholder beside binary parts; in the other case the reader would get a part in the
 * place of that object. So both are refused here.
 *
 * @throws RefusalError `invalid_payload` naming the place, or `message_too_large` with limit and size.
 */
export function readPayload(value: unknown, wire: Wire, limits: PayloadLimits): ReadPayload {
  if (value === undefined)
    throw new RefusalError('invalid_message', 'payload: is required', { field: 'payload' });
  const findings: Findings = { binaryParts: 0, placeholder: false, exact: false, custom: false };
  if (typeof value === 'object' && value !== null) walk(value, wire, limits.maxDepth, findings);
  if (findings.custom) return readProgramPayload(value, wire, limits);
  const { binaryParts } = findings;
  if (binaryParts > 0 && findings.placeholder)
    throw invalid('a payload with binary parts may not hold an object with "_placeholder"');
  if (binaryParts > binaryPartsPerPacket) {
    throw new RefusalError(
      'invalid_payload',
      `the payload has ${binaryParts} binary parts; the limit is ${binaryPartsPerPacket}`,
      { field: 'payload', limit: binaryPartsPerPacket, size: binaryParts },
    );
  }
  const attachments: Buffer[] = [];
  const content = binaryParts > 0 ? takeBinary(value, wire, attachments) : value;
  const json = findings.exact ? jsonText(content) : (JSON.stringify(content) as string | undefined);
  if (json === undefined) throw invalid('the payload is not a JSON value');
  const size = byteLength(json, limits.maxBytes) + attachments.reduce((sum, part) => sum + part.length, 0);
  if (size > limits.maxBytes) throw tooLarge(String(size), limits.maxBytes, size);
  return { json, attachments };
}

/**
 * The same for a payload of a program. Everything in it is read once: a getter or a proxy may give something else when it is read again, after the check.
 *
 * @throws as {@link readPayload}, and what a getter throws
 */
export function readProgramPayload(value: unknown, wire: Wire, limits: PayloadLimits): ReadPayload {
  return readPayload(copyOf(value, limits), wire, limits);
}

/** Text that stays below the limit even at three bytes per character need not be counted. */
function byteLength(json: string, limitBytes: number): number {
  return json.length * 3 <= limitBytes ? json.length : Buffer.byteLength(json);
}

function invalid(message: string, field = 'payload'): RefusalError {
  return new RefusalError('invalid_payload', message, { field });
}

function tooLarge(bytes: string, limit: number, size: number): RefusalError {
  const text = `the payload has ${bytes} bytes; the limit is ${limit}`;
  return new RefusalError('message_too_large', text, { field: 'payload', limit, size });
}

function tooDeep(): RefusalError {
  return invalid('the payload is nested too deeply');
}

/** The depth limit bounds the recursion. */
function walk(value: object, wire: Wire, depthLeft: number, findings: Findings): void {
  if (depthLeft === 0) throw tooDeep();
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === 'object' && item !== null) walk(item, wire, depthLeft - 1, findings);
    }
    return;
  }
  if (isBinary(value, wire)) {
    findings.binaryParts++;
    return;
  }
  if (value instanceof ExactNumber) {
    findings.exact = true;
    return;
  }
  for (const key in value) {
    if (key === '__proto__') throw invalid('payload has the forbidden key __proto__', 'payload.__proto__');
    if (key === '_placeholder') findings.placeholder = true;
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'object' && item !== null) walk(item, wire, depthLeft - 1, findings);
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') findings.custom = true;
}

function isBinary(value: object, wire: Wire): boolean {
  if (wire === 'socketio') return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  if (!(base64Key in value)) return false;
  const content = value[base64Key];
  if (Object.keys(value).length === 1 && typeof content === 'string' && base64.test(content)) return true;
  throw invalid(`an object with "${base64Key}" holds base64 text and nothing else`);
}

/** A copy with a placeholder for each binary part. */
export function takeBinary(value: unknown, wire: Wire, attachments: Buffer[]): unknown {
  if (typeof value !== 'object' || value === null || value instanceof ExactText) return value;
  if (Array.isArray(value)) return value.map((item) => takeBinary(item, wire, attachments));
  if (isBinary(value, wire)) {
    attachments.push(toBuffer(value));
    return { _placeholder: true, num: attachments.length - 1 };
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, takeBinary(item, wire, attachments)]),
  );
}

/**
 * A copy in which each object that gives its own JSON value (a `Date`) is replaced by that value. The depth limit bounds the recursion, and the least size
 * of its text the memory: a list with one item at the index 4e9, or one that holds another one twice, over and over, would take more than there is.
 */
function copyOf(root: unknown, { maxBytes, maxDepth }: PayloadLimits): unknown {
  let least = 0;
  const count = (bytes: number) => {
    least += bytes;
    if (least > maxBytes) throw tooLarge(`at least ${least}`, maxBytes, least);
  };
  const copy = (value: unknown, depthLeft: number): unknown => {
    if (typeof value !== 'object' || value === null || value instanceof ExactText) return value;
    if (isBinary(value, 'socketio')) return value;
    if (depthLeft === 0) throw tooDeep();
    if (isBoxedPrimitive(value) || ('toJSON' in value && typeof value.toJSON === 'function'))
      return JSON.parse(JSON.stringify(value) ?? 'null');
    if (Array.isArray(value)) {
      const { length } = value;
      // Each item has a comma or the bracket behind it.
      count(2 * length);
      return Array.from({ length }, (_, i) => copy(value[i], depthLeft - 1));
    }
    count(1);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item, depthLeft - 1)]));
  };
  return copy(root, maxDepth);
}

function toBuffer(value: object): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return Buffer.from((value as Record<string, string>)[base64Key]!, 'base64');
}
