import type { Bus } from '../../cluster/bus.js';
import type { Clock } from '../../primitives/clock.js';
import { tagOf } from './transport-ids.js';

interface OwnersDependencies {
  readonly bus: Pick<Bus, 'replicaId' | 'liveReplicas'>;
  readonly clock: Clock;
}

/** The list of live replicas is not read more often than this, in milliseconds. */
const readEveryMs = 500;

/** Attempts to read it, while Redis is unreachable. */
const readAttempts = 4;

/** The live replicas by the tag in ids of transports. */
export class Owners {
  private replicas = new Map<string, string>();
  /** When the list was asked for last, and when it came. */
  private askedAt = -Infinity;
  private readAt = -Infinity;
  private reading: Promise<void> | undefined;

  constructor(private readonly dependencies: OwnersDependencies) {}

  /** The replica with a tag, if it has been found already. */
  known(tag: string): string | undefined {
    return this.replicas.get(tag);
  }

  /**
   * The replica with a tag; undefined if none is live. An earlier list does not say that: a replica that has just started may
   * have answered the handshake of this transport a moment ago.
   *
   * @throws Error if the list cannot be read
   */
  async find(tag: string): Promise<string | undefined> {
    const calledAt = this.dependencies.clock.now();
    while (!this.replicas.has(tag) && this.askedAt < calledAt) await this.read();
    return this.replicas.get(tag);
  }

  /** A replica cannot be reached: whether it is live is looked up before it is asked again. */
  forget(replica: string): void {
    for (const [tag, id] of this.replicas) if (id === replica) this.replicas.delete(tag);
  }

  private read(): Promise<void> {
    this.reading ??= this.readList().finally(() => (this.reading = undefined));
    return this.reading;
  }

  private async readList(): Promise<void> {
    const { bus, clock } = this.dependencies;
    let live: string[] | undefined;
    let askedAt = 0;
    for (let attempt = 1; live === undefined; attempt++) {
      if (attempt > readAttempts) throw new Error('the live replicas are not known');
      const waitMs = this.readAt + readEveryMs - clock.now();
      if (waitMs > 0) await clock.sleep(waitMs);
      askedAt = clock.now();
      live = await bus.liveReplicas();
      this.readAt = clock.now();
    }
    this.askedAt = askedAt;
    this.replicas = new Map(
      live.flatMap((id) => {
        const tag = tagOf(id);
        return tag === undefined || id === bus.replicaId ? [] : [[tag, id] as const];
      }),
    );
  }
}
