import type { DrainCounts } from '../gateway/drain/drain-counts.js';
import type { ReplicaDrain } from '../gateway/drain/replica-drain.js';
import type { Phase } from '../protocol/phase.js';
import type { StopReport } from '../supervision/ordered-stop.js';
import { ServiceClosedError } from './start-up.js';

/** How a service is stopped. */
export interface StopOptions {
  /** Whether clients are moved to other replicas first, see `Service.drain`. Default: all are closed at once. */
  readonly drain?: boolean;
}

interface LifeCycleDependencies {
  /** Starts to listen; rejects when `closed` is aborted. Resolves to the port. */
  readonly start: (closed: AbortSignal) => Promise<number>;
  readonly drain: ReplicaDrain;
  /** Stops all parts in order. `lateMs`: by how much the drain has taken longer than its window. */
  readonly stop: (lateMs: number) => Promise<StopReport>;
}

/** The phases of a service, each of which begins once: start, drain, stop. */
export class LifeCycle {
  private current: Phase = 'starting';
  private readonly abortStart = new AbortController();
  private starting: Promise<number> | undefined;
  private closing: Promise<StopReport> | undefined;

  constructor(
    private readonly dependencies: LifeCycleDependencies,
    private readonly settings: { readonly drainDelaySecs: number; readonly drainWindowSecs: number },
  ) {}

  get phase(): Phase {
    return this.current;
  }

  /** Whether the service will stop, or is about to. */
  get isEnding(): boolean {
    return this.closing !== undefined || this.current === 'draining';
  }

  /** A start that fails closes everything again. */
  start(): Promise<number> {
    if (this.closing !== undefined) return Promise.reject(new ServiceClosedError());
    this.starting ??= this.dependencies.start(this.abortStart.signal).then(
      (port) => {
        this.current = 'running';
        return port;
      },
      (error: unknown) => {
        void this.stop();
        throw error;
      },
    );
    return this.starting;
  }

  async drain(): Promise<DrainCounts> {
    const { drain } = this.dependencies;
    // Nobody is connected before the start and after the end.
    if (this.current === 'starting' || this.current === 'stopping') return drain.state;
    this.current = 'draining';
    return drain.run();
  }

  /** Resolves to what did not stop in time. A call without `drain` ends a drain that is under way. */
  stop({ drain = false }: StopOptions = {}): Promise<StopReport> {
    if (drain && this.current !== 'starting') this.closing ??= this.drainAndShutDown();
    else this.dependencies.drain.abandon();
    this.closing ??= this.shutDown(0);
    return this.closing;
  }

  private async drainAndShutDown(): Promise<StopReport> {
    const { drainDelaySecs, drainWindowSecs } = this.settings;
    const startedAt = performance.now();
    await this.drain();
    return this.shutDown(performance.now() - startedAt - (drainDelaySecs + drainWindowSecs) * 1000);
  }

  private shutDown(lateMs: number): Promise<StopReport> {
    this.current = 'stopping';
    this.abortStart.abort();
    return this.dependencies.stop(Math.max(0, lateMs));
  }
}
