import { replicaName } from '../cluster/replica-identity.js';
import type { NameHolder } from '../cluster/replica-registry.js';
import { SettingsError } from '../config/load.js';
import type { Log } from '../logging/log.js';
import type { Storage } from '../storage/storage.js';

interface ReplicaNameDependencies {
  readonly storage: Pick<Storage, 'claimName' | 'redis' | 'onUp'>;
  readonly log: Log;
}

/**
 * Takes a configured replica id over from a process that has ended, and refuses to start beside one that is alive.
 * If Redis is unreachable at the start, it is too late to refuse when it comes: then the operator is told. Nothing is
 * mixed up meanwhile, because what a process stores is under an id of its own.
 *
 * @throws SettingsError if another replica with this id is alive
 */
export async function claimReplicaName({ storage, log }: ReplicaNameDependencies): Promise<void> {
  const claim = async (): Promise<NameHolder | undefined | 'unknown'> => {
    if (storage.redis().state !== 'up') return 'unknown';
    return storage.claimName().catch(() => 'unknown' as const);
  };
  const holder = await claim();
  if (typeof holder === 'object') throw new SettingsError([problemOf(holder)]);
  if (holder === undefined) return;
  let isKnown = false;
  storage.onUp(() => {
    if (isKnown) return;
    void claim().then((found) => {
      if (isKnown || found === 'unknown') return;
      isKnown = true;
      if (found !== undefined) log.error('Two replicas have one id', { problem: problemOf(found) });
    });
  });
}

function problemOf({ id }: NameHolder): string {
  const name = JSON.stringify(replicaName(id));
  return `server.replica_id: a replica with the id ${name} is running: give each replica an id of its own, or none`;
}
