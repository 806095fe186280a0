import type { ConnectionFactory } from './connection.js';
import type { TokenSource } from './token-requests.js';
import type { OutgoingFactory } from './outgoing.js';
import type { StateFactory } from './client-state.js';
import type { Clock } from './clock.js';

/** Options of `createClient`. `docs/client.md` lists them; a test compares. */
export interface ClientOptions {
  /** Address of the service: `https://host`. */
  readonly url: string;
  /** A token, or a function that gets one: called before each connection, and before the token expires. */
  readonly token: TokenSource;
  /** Path of Socket.IO, if a proxy changes it. */
  readonly path?: string | undefined;
  /** Transports, in the order in which they are tried. */
  readonly transports?: readonly ('websocket' | 'polling')[] | undefined;
  readonly reconnect?: {
    readonly baseDelayMs?: number | undefined;
    readonly factor?: number | undefined;
    readonly maxDelayMs?: number | undefined;
    readonly maxAttempts?: number | undefined;
  };
  readonly connectTimeoutMs?: number | undefined;
  readonly requestTimeoutMs?: number | undefined;
  readonly probeTimeoutMs?: number | undefined;
  readonly pingEveryMs?: number | undefined;
  readonly maxMessageBytes?: number | undefined;
  readonly bufferMax?: number | undefined;
  /** `savedState()` of `realtime-communication/client/state`: a reload goes on. */
  readonly state?: StateFactory | undefined;
  readonly outgoing?: {
    readonly max?: number | undefined;
    readonly maxBytes?: number | undefined;
    readonly windowMs?: number | undefined;
    readonly inFlightMax?: number | undefined;
    readonly store?: OutgoingFactory | undefined;
  };
  /** `sharedConnection()` of `realtime-communication/client/tabs`: one connection for all tabs. */
  readonly connection?: ConnectionFactory | undefined;
  /** For tests: time, and numbers from 0 to 1. */
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
}

/** Defaults of the options that have one. Times in milliseconds. */
export const defaults = {
  transports: ['websocket', 'polling'] as readonly ('websocket' | 'polling')[],
  reconnect: { baseDelayMs: 500, factor: 2, maxDelayMs: 30_000, maxAttempts: Infinity },
  connectTimeoutMs: 20_000,
  requestTimeoutMs: 10_000,
  probeTimeoutMs: 2000,
  pingEveryMs: 30_000,
  maxMessageBytes: 65_536,
  bufferMax: 10_000,
  outgoing: { max: 1000, maxBytes: 8_388_608, windowMs: 240_000, inFlightMax: 256 },
};

/** The given values over the defaults; undefined counts as not given. */
export function withDefaults<Values extends object, Given extends object>(
  values: Values,
  given: Given = {} as Given,
): Values & Omit<Given, keyof Values> {
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...values, ...Object.fromEntries(known) } as Values & Omit<Given, keyof Values>;
}
