import type { Bus } from '../../cluster/bus.js';
import type { Clock } from '../../primitives/clock.js';
import { tagOf } from './transport-ids.js';

interface OwnersDependencies {
  readonly bus: Pick<Bus, 'replicaId' | 'replicas'>;
  readonly clock: Clock;
}

/** The list of live replicas is not read more often than this, in milliseconds. */
const readEveryMs = 500;

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
    const waitMs = this.readAt + readEveryMs - clock.now();
    if (waitMs > 0) await clock.sleep(waitMs);
    this.askedAt = clock.now();
    const live = await bus.replicas();
    this.readAt = clock.now();
    this.replicas = new Map(
      live.flatMap((id) => {
        const tag = tagOf(id);
        return tag === undefined || id === bus.replicaId ? [] : [[tag, id] as const];
      }),
    );
  }
}
