import type { Bus } from '../../cluster/bus.js';
import { tagOf } from './transport-ids.js';

interface OwnersDependencies {
  readonly bus: Pick<Bus, 'replicaId' | 'replicas'>;
  readonly now: () => number;
}

/** The list of live replicas is not read more often than this, in milliseconds. */
const readEveryMs = 500;

/** The live replicas by the tag in ids of transports. */
export class Owners {
  private replicas = new Map<string, string>();
  private readAt = -Infinity;
  private reading: Promise<void> | undefined;

  constructor(private readonly dependencies: OwnersDependencies) {}

  /** The replica with a tag, if it has been found already. */
  known(tag: string): string | undefined {
    return this.replicas.get(tag);
  }

  /** The replica with a tag; undefined if none is live. */
  async find(tag: string): Promise<string | undefined> {
    const { now } = this.dependencies;
    if (now() - this.readAt >= readEveryMs || this.reading !== undefined) await this.read();
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
    const { bus, now } = this.dependencies;
    const live = await bus.replicas();
    this.readAt = now();
    this.replicas = new Map(
      live.flatMap((id) => {
        const tag = tagOf(id);
        return tag === undefined || id === bus.replicaId ? [] : [[tag, id] as const];
      }),
    );
  }
}
