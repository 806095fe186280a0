import { RefusalError } from '../../shared/errors.js';
import { base64Key } from '../../shared/message.js';
import type { Wire } from './connection.js';

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
  binary: boolean;
  placeholder: boolean;
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Checks a payload and turns it into text. Binary parts are `Buffer`s on Socket.IO and `{ "$base64": "…" }` on the JSON wires.
 *
 * @throws RefusalError `invalid_payload` naming the place, or `message_too_large` with limit and size.
 */
export function readPayload(value: unknown, wire: Wire, limits: PayloadLimits): ReadPayload {
  if (value === undefined)
    throw new RefusalError('invalid_message', 'payload: is required', { field: 'payload' });
  const findings: Findings = { binary: false, placeholder: false };
  if (typeof value === 'object' && value !== null) walk(value, wire, limits.maxDepth, findings);
  const attachments: Buffer[] = [];
  if (findings.binary && findings.placeholder) {
    throw new RefusalError(
      'invalid_payload',
      'a payload with binary parts may not hold an object with "_placeholder"',
      {
        field: 'payload',
      },
    );
  }
  const json = JSON.stringify(findings.binary ? takeBinary(value, wire, attachments) : value) as
    string | undefined;
  if (json === undefined)
    throw new RefusalError('invalid_payload', 'the payload is not a JSON value', { field: 'payload' });
  const size = byteLength(json, limits.maxBytes) + attachments.reduce((sum, part) => sum + part.length, 0);
  if (size > limits.maxBytes) {
    throw new RefusalError(
      'message_too_large',
      `the payload has ${size} bytes; the limit is ${limits.maxBytes}`,
      {
        field: 'payload',
        limit: limits.maxBytes,
        size,
      },
    );
  }
  return { json, attachments };
}

/** Text that stays below the limit even at three bytes per character need not be counted. */
function byteLength(json: string, limitBytes: number): number {
  return json.length * 3 <= limitBytes ? json.length : Buffer.byteLength(json);
}

/** The depth limit bounds the recursion. */
function walk(value: object, wire: Wire, depthLeft: number, findings: Findings, path = 'payload'): void {
  if (depthLeft === 0)
    throw new RefusalError('invalid_payload', 'the payload is nested too deeply', { field: 'payload' });
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === 'object' && item !== null) walk(item, wire, depthLeft - 1, findings, path);
    }
    return;
  }
  if (isBinary(value, wire)) {
    findings.binary = true;
    return;
  }
  for (const key in value) {
    if (key === '__proto__') {
      throw new RefusalError('invalid_payload', `${path} has the forbidden key __proto__`, {
        field: `${path}.__proto__`,
      });
    }
    if (key === '_placeholder') findings.placeholder = true;
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'object' && item !== null) walk(item, wire, depthLeft - 1, findings, path);
  }
}

function isBinary(value: object, wire: Wire): boolean {
  if (wire === 'socketio') return value instanceof Uint8Array || value instanceof ArrayBuffer;
  if (!(base64Key in value)) return false;
  const content = value[base64Key];
  if (Object.keys(value).length === 1 && typeof content === 'string' && base64.test(content)) return true;
  throw new RefusalError(
    'invalid_payload',
    `an object with "${base64Key}" holds base64 text and nothing else`,
    { field: 'payload' },
  );
}

function takeBinary(value: unknown, wire: Wire, attachments: Buffer[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => takeBinary(item, wire, attachments));
  if (isBinary(value, wire)) {
    attachments.push(toBuffer(value));
    return { _placeholder: true, num: attachments.length - 1 };
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, takeBinary(item, wire, attachments)]),
  );
}

function toBuffer(value: object): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return Buffer.from((value as Record<string, string>)[base64Key]!, 'base64');
}
