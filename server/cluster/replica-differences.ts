import type { Log } from '../logging/log.js';
import { replicaName, type ReplicaIdentity } from './replica-identity.js';

/** The record of another replica, as JSON; null: it has version 0.1. */
export interface ReplicaRecord {
  readonly id: string;
  readonly record: string | null;
}

/** Differences of one warning, at most: the rest is counted. */
const shown = 20;

/**
 * Warns of replicas that run with another version or other settings: once for each state, with the names of the
 * replicas and settings.
 */
export class ReplicaDifferences {
  private warnedOf = '';

  constructor(
    private readonly dependencies: {
      readonly log: Log;
      /** Called with what differs now, once for each state, on one replica of each version. */
      readonly alert: (differences: readonly string[]) => void;
    },
    private readonly own: ReplicaIdentity,
  ) {}

  /** Compares the live replicas with this one. */
  compare(others: readonly ReplicaRecord[]): void {
    const { log, alert } = this.dependencies;
    const differences = differencesOf(this.own, others);
    const state = differences.join('\n');
    if (state === this.warnedOf) return;
    this.warnedOf = state;
    if (isFirst(this.own, others)) alert(differences);
    if (differences.length === 0) {
      log.info('All replicas run with the same version and settings', { replica_id: this.own.name });
      return;
    }
    log.warn('Replicas differ', {
      replica_id: this.own.name,
      differences: differences.slice(0, shown),
      ...(differences.length > shown && { more: differences.length - shown }),
      remedy: 'give all replicas the same settings, and finish the update if there is one',
    });
  }
}

/** Whether no other replica of the same version has a smaller id: all of them find the same differences. */
function isFirst({ id, version }: ReplicaIdentity, others: readonly ReplicaRecord[]): boolean {
  return others.every((other) => other.id > id || read(other.record)?.version !== version);
}

/** What differs, one line each: `topics.history_size: 1000 here, 50 on b`. */
export function differencesOf(own: ReplicaIdentity, others: readonly ReplicaRecord[]): string[] {
  const found = new Map<string, { here: string; there: Map<string, Set<string>> }>();
  const differs = (what: string, here: string, there: string, name: string) => {
    const entry = found.get(what) ?? { here, there: new Map<string, Set<string>>() };
    entry.there.set(there, (entry.there.get(there) ?? new Set<string>()).add(name));
    found.set(what, entry);
  };
  for (const { id, record } of others) {
    const other = read(record);
    if (other === undefined) {
      differs('version', own.version, '0.1', replicaName(id));
      continue;
    }
    if (other.version !== own.version) differs('version', own.version, other.version, other.name);
    // A setting that one of two versions does not have is no difference.
    for (const [setting, value] of Object.entries(own.settings)) {
      const there = other.settings[setting];
      if (there !== undefined && there !== value) differs(setting, value, there, other.name);
    }
  }
  return [...found].map(([what, { here, there }]) => {
    const elsewhere = [...there].map(([value, names]) => `${value} on ${[...names].sort().join(' and ')}`);
    return `${what}: ${here} here, ${elsewhere.sort().join(', ')}`;
  });
}

/** Undefined if it is none: version 0.1 has no record. Fields that later versions add do not matter. */
function read(record: string | null): Omit<ReplicaIdentity, 'id'> | undefined {
  if (record === null) return undefined;
  try {
    const { name, version, settings } = JSON.parse(record) as Partial<ReplicaIdentity>;
    return { name: String(name), version: String(version), settings: settings ?? {} };
  } catch {
    return undefined;
  }
}
