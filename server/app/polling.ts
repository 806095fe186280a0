import { randomBytes } from 'node:crypto';
import type { Server as SocketIoServer } from 'socket.io';
import { PollingTransports } from '../gateway/engine-internals/polling-transports.js';
import { PollingRouter } from '../gateway/polling/polling-router.js';
import { TransportIds } from '../gateway/polling/transport-ids.js';
import { systemClock } from '../primitives/clock.js';
import type { Foundation } from './foundation.js';

/** Ten years, in milliseconds. */
const keyTtlMs = 315_360_000_000;

/** Long-polling between replicas; undefined where there are no others. To be called when Socket.IO is attached to its HTTP server. */
export function assemblePolling(
  { settings, storage, limits, addresses, generatedSecret, logOf }: Foundation,
  io: SocketIoServer,
): PollingRouter | undefined {
  if (settings.redis.url === undefined) return undefined;
  const secret = settings.auth.jwtSecret ?? generatedSecret;
  const ids = new TransportIds(secret, { replicaId: storage.bus.replicaId });
  const log = logOf('connection');
  // With public keys only, the replicas share no secret but one that they keep in Redis.
  if (secret === undefined)
    storage.onUp(() => {
      sharedSecret(storage.shared).then(
        (shared) => ids.setSecret(shared),
        (error: unknown) =>
          log.warn('Key of transport ids not read: long-polling needs sticky sessions', { error }),
      );
    });
  return new PollingRouter({
    transports: new PollingTransports(io),
    ids,
    bus: storage.bus,
    clock: systemClock,
    bodies: limits.bodies,
    addressOf: addresses.of,
    log,
  });
}

async function sharedSecret(store: Foundation['storage']['shared']): Promise<string> {
  const key = 'transport-key';
  await store.setIfAbsent(key, randomBytes(32).toString('base64url'), keyTtlMs);
  const shared = await store.get(key);
  if (shared === undefined) throw new Error('the store has lost it at once');
  return shared;
}
