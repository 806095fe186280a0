import type { RedisHost } from '../../config/redis-url.js';

/** Which Redis is the primary. It may be another one later. */
export interface RedisPlace {
  /** Undefined: it is not known yet, so that nothing can be connected. */
  readonly host: RedisHost | undefined;
  /** Called when the primary is known, and each time it is another one. Connections to the former one are to be given up. */
  onMoved(listener: () => void): void;
  /** Called with why the primary is not known, each time that is found out. */
  onUnknown(listener: (error: Error) => void): void;
  start(): void;
  close(): void;
}

/** An address that does not change. */
export function fixedPlace(host: RedisHost): RedisPlace {
  return { host, onMoved: () => {}, onUnknown: () => {}, start: () => {}, close: () => {} };
}
