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

/** Codes of the service after which the same request may succeed; `shared/errors.ts` has the reasons, and a test compares. */
const retryableCodes =
  'rate_limited quota_exceeded busy at_capacity unavailable outcome_unknown read_only topic_frozen shutting_down slow_consumer timeout internal not_connected queue_full token_failed'.split(
    ' ',
  );

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
  readonly retryAfterMs: number | undefined;
  readonly field: string | undefined;
  readonly limit: number | undefined;
  readonly size: number | undefined;
  /** The page of the documentation that explains the code. */
  readonly docs: string;

  constructor(
    readonly code: ClientErrorCode,
    message: string,
    { cause, ...details }: ErrorDetails = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryable = retryableCodes.includes(code);
    this.retryAfterMs = details.retryAfterMs;
    this.field = details.field;
    this.limit = details.limit;
    this.size = details.size;
    this.docs = `docs/errors.md#${code}`;
  }
}

/** An error of the service, as it came over the wire. */
export function errorFromWire(error: Partial<WireError> | undefined): ClientError {
  return new ClientError(error?.code ?? 'internal', error?.message ?? 'the service gave no reason', {
    retryAfterMs: error?.retry_after_ms,
    field: error?.field,
    limit: error?.limit,
    size: error?.size,
  });
}
