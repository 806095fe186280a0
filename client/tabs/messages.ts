import type { WireError } from '../../shared/errors.js';
import type { Positions } from '../../shared/position.js';
import type { ClientError } from '../client-error.js';
import type { ConnectionSettings, ConnectionState } from '../connection-settings.js';
import type { TokenReason } from '../token-requests.js';

/** An error on its way between tabs. */
export type SentError = Partial<Omit<WireError, 'code'>> & { readonly code: string };

/** Settings of the connection that can be sent. */
export type SharedSettings = Omit<ConnectionSettings, 'token'>;

/** What a tab says. `hub`: to whom; a hub that has been replaced does not listen any more. */
export type TabMessage = { readonly from: string; readonly hub?: string | undefined } & (
  | {
      readonly type: 'hello';
      readonly settings: SharedSettings;
      readonly session_id: string | undefined;
      readonly positions: Positions;
    }
  | { readonly type: 'request'; readonly n: number; readonly command: string; readonly body: object }
  | { readonly type: 'ack'; readonly n: number }
  | {
      readonly type: 'token';
      readonly n: number;
      readonly token?: string | undefined;
      readonly error?: SentError | undefined;
    }
  /** Are you there? `wake`: the network may have changed, so the connection is probed too. */
  | { readonly type: 'probe'; readonly wake: boolean }
  /** Begin again after `stopped`. */
  | { readonly type: 'connect' }
  | { readonly type: 'bye' }
);

/** The state of the shared connection. */
export type SentState = Omit<ConnectionState, 'error'> & { readonly error?: SentError };

/** What the holder of the connection says. `to`: to whom; without it to all. */
export type HubMessage = { readonly hub: string; readonly to?: readonly string[] } &
  /** I hold the connection from now on. */
  (
    | { readonly type: 'hub' }
    /** I do not hold it any more. */
    | { readonly type: 'gone' }
    | { readonly type: 'alive' }
    | { readonly type: 'state'; readonly state: SentState }
    | {
        readonly type: 'event';
        readonly event: string;
        readonly data: unknown;
        readonly n?: number | undefined;
      }
    | { readonly type: 'answer'; readonly n: number; readonly answer?: unknown; readonly error?: SentError }
    | { readonly type: 'token?'; readonly n: number; readonly reason: TokenReason }
    | { readonly type: 'pong'; readonly latencyMs: number }
    | { readonly type: 'error'; readonly error: SentError }
  );

export function sentError({ code, message, retryAfterMs, field, limit, size }: ClientError): SentError {
  return { code, message, retry_after_ms: retryAfterMs, field, limit, size } as SentError;
}

export function sentState({ error, ...state }: ConnectionState): SentState {
  return error ? { ...state, error: sentError(error) } : state;
}
