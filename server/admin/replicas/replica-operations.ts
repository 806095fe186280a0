import { operation, type ClusterOperations } from '../cluster-operations.js';

/** Drains the replica that is asked: its process ends afterwards. `isNew`: false if it was draining, or stopping, already. */
export const drainReplica = operation<
  null,
  { readonly isNew: boolean; readonly clients: number; readonly ends_within_secs: number }
>('drain');

interface ReplicaOperationsDependencies {
  /** Whether the replica is to stop already. */
  readonly isStopping: () => boolean;
  /** Number of clients that are to be moved. */
  readonly clients: () => number;
  readonly onDrainRequested: () => void;
}

/** What this replica does when operators ask for it. */
export class ReplicaOperations {
  /** From a request until it is handed on. */
  private isRequested = false;

  constructor(
    private readonly dependencies: ReplicaOperationsDependencies,
    private readonly settings: { readonly limitSecs: number },
  ) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(drainReplica, () => this.drain());
  }

  private drain(): { isNew: boolean; clients: number; ends_within_secs: number } {
    const { isStopping, clients, onDrainRequested } = this.dependencies;
    const isNew = !this.isRequested && !isStopping();
    if (isNew) {
      this.isRequested = true;
      // The answer is sent before anything is closed.
      setImmediate(() => {
        this.isRequested = false;
        onDrainRequested();
      });
    }
    return { isNew, clients: clients(), ends_within_secs: this.settings.limitSecs };
  }
}
