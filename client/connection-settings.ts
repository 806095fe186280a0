import type { Positions } from '../shared/position.js';
import type { ReconnectOptions } from './backoff.js';
import type { ClientError } from './client-error.js';
import type { Clock } from './clock.js';
import type { TokenSource } from './token-requests.js';

/** The life of a connection. */
export interface ConnectionState {
  readonly state: 'idle' | 'connecting' | 'connected' | 'waiting' | 'stopped';
  /** Why it is so: a reason of Socket.IO, or the error. */
  readonly reason?: string;
  readonly error?: ClientError;
  /** In `waiting`: the next attempt comes after so many milliseconds. */
  readonly delayMs?: number;
  /** Attempts since the last connection. */
  readonly attempt?: number;
}

export interface ConnectionSettings {
  readonly url: string;
  readonly token: TokenSource;
  readonly path: string | undefined;
  readonly transports: readonly ('websocket' | 'polling')[];
  readonly reconnect: ReconnectOptions;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly probeTimeoutMs: number;
  readonly pingEveryMs: number;
}

export interface ConnectionDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  /** The session and positions of the handshake. */
  readonly handshake: () => { readonly session_id?: string | undefined; readonly positions: Positions };
  readonly onState: (state: ConnectionState) => void;
  /** Any event of the service. */
  readonly onEvent: (event: string, data: unknown, ack: (() => void) | undefined) => void;
  readonly onPong: (latencyMs: number) => void;
  readonly onError: (error: ClientError) => void;
}
