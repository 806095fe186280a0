import type { AnyClient } from './events.js';
import { systemClock, type Clock } from './clock.js';

/** How the connection has been. */
export interface ConnectionReport {
  /** Disconnects of the last five minutes. */
  readonly disconnects: {
    readonly count: number;
    /** How long these connections had lasted; undefined without any. */
    readonly averageDurationMs: number | undefined;
    readonly reasons: readonly string[];
  };
  /** Round trips of the last hundred pings, in milliseconds. */
  readonly latencyMs: {
    readonly last: number | undefined;
    readonly p50: number | undefined;
    readonly p95: number | undefined;
    readonly p99: number | undefined;
  };
}

const windowMs = 300_000;
const disconnectsMax = 1000;
const latenciesMax = 100;

/** Disconnect pattern and latency, as the guide's `ConnectionMonitor` has them. */
export class ConnectionMonitor {
  private disconnects: { readonly at: number; readonly durationMs: number; readonly reason: string }[] = [];
  private readonly latencies: number[] = [];
  private connectedAt: number | undefined;

  constructor(
    client: Pick<AnyClient, 'on'>,
    private readonly clock: Clock = systemClock,
  ) {
    client.on('connect', () => (this.connectedAt = clock.wallTime()));
    client.on('disconnect', (reason) => this.disconnected(reason));
    client.on('pong', (latencyMs) => this.pong(latencyMs));
  }

  private disconnected(reason: string): void {
    if (this.connectedAt === undefined) return;
    const at = this.clock.wallTime();
    this.disconnects.push({ at, durationMs: Math.max(0, at - this.connectedAt), reason });
    if (this.disconnects.length > disconnectsMax) this.disconnects.shift();
    this.connectedAt = undefined;
  }

  private pong(latencyMs: number): void {
    this.latencies.push(latencyMs);
    if (this.latencies.length > latenciesMax) this.latencies.shift();
  }

  /** Disconnects of the last five minutes, and the latency. */
  report(): ConnectionReport {
    const since = this.clock.wallTime() - windowMs;
    this.disconnects = this.disconnects.filter(({ at }) => at >= since);
    const { disconnects } = this;
    const sum = disconnects.reduce((total, { durationMs }) => total + durationMs, 0);
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
    return {
      disconnects: {
        count: disconnects.length,
        averageDurationMs: disconnects.length === 0 ? undefined : sum / disconnects.length,
        reasons: disconnects.map(({ reason }) => reason),
      },
      latencyMs: {
        last: this.latencies.at(-1),
        p50: quantile(0.5),
        p95: quantile(0.95),
        p99: quantile(0.99),
      },
    };
  }
}
