import type { Log } from '../../logging/log.js';
import type { Clock, Timer } from '../../primitives/clock.js';
import { ClientDrain } from './client-drain.js';
import type { DrainCounts } from './drain-counts.js';
import type { MovableClient } from './movable-client.js';

interface ReplicaDrainDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  /** The clients of this replica. */
  readonly clients: () => readonly MovableClient[];
  /** Calls back with each client that comes later. */
  readonly onClient: (add: (client: MovableClient) => void) => void;
  /** Refuses handshakes from now on. */
  readonly refuseHandshakes: () => void;
  readonly log: Log;
}

interface ReplicaDrainSettings {
  readonly delayMs: number;
  readonly windowMs: number;
  /** Past the window, what has not closed after this time is cut off. */
  readonly tailMs: number;
}

/** How far a drain is. `waiting`: load balancers are given time to notice. */
export interface DrainState extends Readonly<DrainCounts> {
  readonly step: 'none' | 'waiting' | 'moving' | 'done';
}

/** Drains a replica: after a delay no client is let in any more, and those that are there are moved to other replicas. */
export class ReplicaDrain {
  private readonly drain: ClientDrain;
  private step: DrainState['step'] = 'none';
  private running: Promise<DrainCounts> | undefined;
  private isAbandoned = false;
  private delay: { readonly timer: Timer; readonly end: () => void } | undefined;

  constructor(
    private readonly dependencies: ReplicaDrainDependencies,
    private readonly settings: ReplicaDrainSettings,
  ) {
    this.drain = new ClientDrain(dependencies, settings);
  }

  get state(): DrainState {
    const { counts } = this.drain;
    const remaining = this.step === 'waiting' ? this.clientCount : counts.remaining;
    return { step: this.step, ...counts, remaining };
  }

  /** Number of the clients that are connected. */
  get clientCount(): number {
    return this.dependencies.clients().length;
  }

  /** Resolves when no client is left, at the latest after all three times of the settings. Further calls return the same. */
  run(): Promise<DrainCounts> {
    return (this.running ??= this.start());
  }

  /** Ends a drain at once. The clients that remain count as forced; the caller closes them. */
  abandon(): void {
    this.isAbandoned = true;
    this.delay?.end();
    this.drain.abandon();
  }

  private async start(): Promise<DrainCounts> {
    const { clock, clients, onClient, refuseHandshakes, log } = this.dependencies;
    const { delayMs, windowMs } = this.settings;
    const startedAt = clock.now();
    const times = { delay_secs: delayMs / 1000, window_secs: windowMs / 1000 };
    log.info('Draining', { clients: this.clientCount, ...times });
    this.step = 'waiting';
    if (delayMs > 0 && !this.isAbandoned) await this.wait(delayMs);
    this.step = 'moving';
    refuseHandshakes();
    // Without a window the stop closes all of them.
    if (windowMs > 0) {
      onClient((client) => this.drain.add(client));
      const moved = this.drain.run(clients());
      if (this.isAbandoned) this.drain.abandon();
      await moved;
      this.report(clock.now() - startedAt);
    }
    this.step = 'done';
    return { ...this.drain.counts };
  }

  private report(tookMs: number): void {
    const { log } = this.dependencies;
    const { moved, forced } = this.drain.counts;
    const fields = { moved, forced, took_ms: Math.round(tookMs) };
    if (this.isAbandoned)
      log.warn('Drained', { ...fields, note: 'ended early: the remaining clients are closed at once' });
    else if (forced > 0)
      log.warn('Drained', { ...fields, note: 'some clients did not close in time, and were cut off' });
    else log.info('Drained', fields);
  }

  private wait(delayMs: number): Promise<void> {
    const { clock } = this.dependencies;
    return new Promise((resolve) => {
      const end = () => {
        clock.clearTimer(this.delay?.timer);
        this.delay = undefined;
        resolve();
      };
      this.delay = { timer: clock.setTimeout(end, delayMs), end };
    });
  }
}
