import { replicaName } from '../../cluster/replica-identity.js';

/** A replica that has gone without saying so. */
export interface Departure {
  readonly replica: string;
  /** Milliseconds since 1970, within a few seconds. */
  readonly at: number;
}

interface ReplicaDeparturesDependencies {
  /** Ids of the live replicas, this one included. */
  readonly liveReplicas: () => Promise<readonly string[]>;
  readonly now: () => number;
}

const keptMs = 10 * 60_000;

/** Replicas that have crashed or were killed: they were live, and went without the message that a replica sends when it stops. */
export class ReplicaDepartures {
  private live = new Set<string>();
  private readonly expected = new Set<string>();
  private departed: (Departure & { readonly id: string })[] = [];

  constructor(private readonly dependencies: ReplicaDeparturesDependencies) {}

  /** A replica says that it stops. */
  expect(id: string): void {
    this.expected.add(id);
  }

  /** Compares the live replicas with those of the look before; to be called every few seconds. */
  async look(): Promise<void> {
    const { liveReplicas, now } = this.dependencies;
    const live = new Set(await liveReplicas());
    const at = now();
    for (const id of this.live) {
      if (live.has(id)) continue;
      if (!this.expected.delete(id)) this.departed.push({ id, replica: replicaName(id), at });
    }
    this.live = live;
    const names = new Set([...live].map(replicaName));
    // One that has come back, as the same process or as its successor, is no news any more.
    this.departed = this.departed.filter(
      ({ replica, at: left }) => !names.has(replica) && at - left < keptMs,
    );
  }

  /** Those of the last ten minutes that have no successor of the same name. */
  list(): readonly Departure[] {
    return this.departed.map(({ replica, at }) => ({ replica, at }));
  }
}
