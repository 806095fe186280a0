/** What a client can do after an error: repeat the request, change something first, or stop. */
export type Retry = 'yes' | 'after_change' | 'no';

interface ErrorRow {
  /** HTTP status of the same refusal on the HTTP routes. */
  readonly http: number;
  readonly retry: Retry;
  readonly meaning: string;
}

const row = (http: number, retry: Retry, meaning: string): ErrorRow => ({ http, retry, meaning });

/** All error codes of all wires. `docs/errors.md` lists exactly these rows; a test compares the two. */
export const errorTable = {
  invalid_json: row(
    400,
    'after_change',
    'The frame or body is not JSON, or not UTF-8 text; or an object in it has a key twice, or a number has more than 100 characters.',
  ),
  invalid_message: row(
    400,
    'after_change',
    'A field is missing, unknown, of the wrong type or out of its limits; `field` names it.',
  ),
  invalid_payload: row(
    400,
    'after_change',
    'The payload, or a large request, is nested too deeply or holds very many values for its size; or the payload has a forbidden key, an ambiguous binary part or more than ten binary parts.',
  ),
  unknown_type: row(400, 'after_change', 'There is no command of this name.'),
  invalid_topic: row(
    400,
    'after_change',
    'The topic name is empty, too long, reserved, or has a character that is not allowed.',
  ),
  message_too_large: row(
    413,
    'after_change',
    'The message or the request exceeds the limit; `limit` and `size` are in bytes. A frame above `websocket.transport_limit_bytes` is not answered: its WebSocket is closed with code 1009.',
  ),
  unauthorized: row(
    401,
    'after_change',
    'No token, or a token that is malformed, wrongly signed, for another audience, or not as the settings require.',
  ),
  token_expired: row(401, 'after_change', 'The token is past its expiry plus leeway: get a new one.'),
  token_revoked: row(401, 'after_change', 'The token, or all tokens of its user or login, were revoked.'),
  forbidden: row(
    403,
    'no',
    'The roles or the token do not allow this on that topic or route, or the origin may not connect.',
  ),
  not_found: row(404, 'no', 'There is no such thing.'),
  method_not_allowed: row(
    405,
    'after_change',
    'The address does not take this method; the header `Allow` lists those that it takes.',
  ),
  upgrade_required: row(
    426,
    'after_change',
    'The address takes WebSockets only, and the request has no `Upgrade: websocket`: a proxy may have removed it.',
  ),
  conflict: row(409, 'after_change', 'The state does not allow this now.'),
  disconnected: row(
    409,
    'after_change',
    'An operator has disconnected the connection; `message` is the reason.',
  ),
  too_many_topics: row(
    409,
    'after_change',
    'The connection holds as many topics as it may; `limit` tells how many.',
  ),
  rate_limited: row(
    429,
    'yes',
    'Too many commands, requests, handshakes or bytes a second, or more from one transport than it may send; repeat after `retry_after_ms`.',
  ),
  quota_exceeded: row(
    429,
    'yes',
    'The user has stored as much as a user may; `message` names the quota, `limit` is its size. Repeat after `retry_after_ms`.',
  ),
  busy: row(
    503,
    'yes',
    'The mailbox of the topic, or the inbox of the user, is full, or too many large answers or too much slow work is under way; repeat after `retry_after_ms`.',
  ),
  at_capacity: row(
    503,
    'yes',
    'The replica, the user or the address holds as many connections, handshakes or unfinished request bodies as it may, or an operator has switched new connections off.',
  ),
  unavailable: row(
    503,
    'yes',
    'The log, or a part that this needs, cannot be reached, is being restarted or stopped after failures, or has no memory left; nothing was stored. Repeat after `retry_after_ms`.',
  ),
  outcome_unknown: row(
    503,
    'yes',
    'The log was lost in mid-write, or too few replicas of Redis have confirmed: the message, or the change of an operator, may or may not be stored. Repeat with the same `key`.',
  ),
  read_only: row(
    503,
    'yes',
    'An operator has put the service in a mode that refuses this, or has switched presence off.',
  ),
  topic_frozen: row(503, 'yes', 'An operator has frozen this topic.'),
  shutting_down: row(503, 'yes', 'The replica is draining: connect to another one.'),
  slow_consumer: row(
    503,
    'yes',
    'The connection read too slowly, or asked for more than it read, and was closed.',
  ),
  timeout: row(504, 'yes', 'The answer, or a part of the request, did not come in time.'),
  internal: row(500, 'yes', 'A bug: logged with its stack on the server.'),
} as const satisfies Record<string, ErrorRow>;

/** One of the codes of {@link errorTable}. */
export type ErrorCode = keyof typeof errorTable;

/** The error object on every wire. */
export interface WireError {
  code: ErrorCode;
  message: string;
  /** Wait at least this long before a repetition, in milliseconds. */
  retry_after_ms?: number;
  /** The invalid field of the request, as a path: `payload.a.b`, `topics[2]`. */
  field?: string;
  limit?: number;
  size?: number;
}

/** Details of some codes: camelCase in the code, snake_case on the wire. */
export interface ErrorDetails {
  retryAfterMs?: number;
  field?: string;
  limit?: number;
  size?: number;
}

/**
 * An expected refusal. Every other error is a bug: it is logged with its stack and answered as `internal`.
 */
export class RefusalError extends Error {
  override readonly name = 'RefusalError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
  ) {
    super(message);
  }

  toWire(): WireError {
    const { retryAfterMs, field, limit, size } = this.details;
    return {
      code: this.code,
      message: this.message,
      ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
      ...(field !== undefined && { field }),
      ...(limit !== undefined && { limit }),
      ...(size !== undefined && { size }),
    };
  }
}

/** The error object for any thrown value: refusals unchanged, bugs as `internal` without their text. */
export function toWireError(error: unknown): WireError {
  if (error instanceof RefusalError) return error.toWire();
  return { code: 'internal', message: 'internal error' };
}

/** Seconds of `Retry-After` where nothing tells how long a state lasts: an operator's switch, a stop. */
const usualWaitSecs = 5;

/** The value of `Retry-After` for an error over HTTP, in seconds. Every 503 has one; other statuses need not. */
export function retryAfterSecs({ code, retry_after_ms: retryAfterMs }: WireError): number | undefined {
  if (retryAfterMs !== undefined) return Math.ceil(retryAfterMs / 1000);
  return errorTable[code].http === 503 ? usualWaitSecs : undefined;
}
