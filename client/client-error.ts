import type { ErrorCode, WireError } from '../shared/errors.js';

/** Codes of the library itself; all others are those of the service. `docs/client.md` lists them. */
export type ClientErrorCode =
  | ErrorCode
  | 'auth_failed'
  | 'closed'
  | 'give_up'
  | 'handler_failed'
  | 'not_connected'
  | 'queue_full'
  | 'store_failed'
  | 'token_failed'
  | 'unknown';

/** After these refusals of a message the library repeats it by itself, with the same key. */
export const repeatedCodes =
  'rate_limited busy at_capacity unavailable outcome_unknown shutting_down timeout not_connected'.split(' ');

/** Codes after which the same request may succeed; `shared/errors.ts` has the reasons, and a test compares. */
const retryableCodes = [
  ...repeatedCodes,
  ...'quota_exceeded read_only topic_frozen slow_consumer internal queue_full token_failed'.split(' '),
];

interface ErrorDetails {
  readonly retryAfterMs?: number | undefined;
  readonly field?: string | undefined;
  readonly limit?: number | undefined;
  readonly size?: number | undefined;
  readonly cause?: unknown;
}

/** Every error that the library gives to the app. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Wait at least this long before a repetition, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly field?: string | undefined;
  readonly limit?: number | undefined;
  readonly size?: number | undefined;
  /** The page of the documentation that explains the code. */
  readonly docs: string;

  constructor(
    readonly code: ClientErrorCode,
    message: string,
    { cause, ...details }: ErrorDetails = {},
  ) {
    super(message, (cause && { cause }) as ErrorOptions);
    Object.assign(this, details);
    this.retryable = retryableCodes.includes(code);
    this.docs = `docs/errors.md#${code}`;
  }
}

/** An error of the service, as it came over the wire. */
export function errorFromWire(error: Partial<WireError> | null | undefined): ClientError {
  // Only these: a field named `__proto__` would take the place of the prototype.
  const { code = 'internal', message = code, retry_after_ms: ms, field, limit, size } = error ?? {};
  // What is no number would be a timer of no time.
  return new ClientError(code, message, { retryAfterMs: ms! >= 0 ? ms : undefined, field, limit, size });
}

export function closed(what: string): ClientError {
  return new ClientError('closed', `the ${what} was closed`);
}

/** Something of the app, or of the browser, has failed. Anything may be thrown, also what has no text. */
export function failed(code: ClientErrorCode, what: string, cause: unknown): ClientError {
  let text: string = code;
  try {
    text = String(cause);
  } catch {
    // An object without a prototype, say.
  }
  return new ClientError(code, `${what}: ${text}`, { cause });
}

/** A listener of the app has thrown. */
export function handlerFailed(what: string, cause: unknown): ClientError {
  return failed('handler_failed', `a listener of ${what} has failed`, cause);
}
