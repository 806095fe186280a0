import { RefusalError } from '../../shared/errors.js';
import type { ReplicatedMap } from '../cluster/replicated-map.js';

/** A rule: all messages of a topic or of a user are traced until a time. */
export interface TraceRule {
  readonly kind: 'topic' | 'user';
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly by: string;
  readonly at: number;
  readonly reason?: string;
}

interface TraceRulesDependencies {
  /** The map of the runtime control. */
  readonly map: ReplicatedMap;
  readonly now: () => number;
}

/** At most this many rules at the same time. */
export const traceRulesLimit = 100;

const field = /^trace:(topic|user):(.+)$/s;
const sweepMs = 30_000;

/** The trace rules of operators, the same on all replicas. Each rule expires. */
export class TraceRules {
  private readonly byField = new Map<string, TraceRule>();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly dependencies: TraceRulesDependencies) {
    const { map } = dependencies;
    for (const [name, value] of map.entries()) this.take(name, value);
    map.onChange((name, value) => this.take(name, value));
    this.timer = setInterval(() => void this.sweep(), sweepMs);
    this.timer.unref();
  }

  get size(): number {
    return this.byField.size;
  }

  /** Whether a rule selects this topic or user now. */
  has(kind: TraceRule['kind'], name: string): boolean {
    const rule = this.byField.get(fieldOf(kind, name));
    return rule !== undefined && rule.until > this.dependencies.now();
  }

  list(): TraceRule[] {
    const now = this.dependencies.now();
    return [...this.byField.values()].filter(({ until }) => until > now);
  }

  /** @throws RefusalError `conflict` if there are too many; `unavailable` while the store is unreachable */
  async add({ kind, name, until, ...who }: TraceRule): Promise<void> {
    const key = fieldOf(kind, name);
    if (!this.byField.has(key) && this.list().length >= traceRulesLimit)
      throw new RefusalError('conflict', `there are ${traceRulesLimit} trace rules; delete one first`, {
        limit: traceRulesLimit,
      });
    await this.dependencies.map.set({ [key]: JSON.stringify({ value: until, ...who }) });
  }

  /** False if there was none. @throws RefusalError `unavailable` while the store is unreachable */
  async delete(kind: TraceRule['kind'], name: string): Promise<boolean> {
    const key = fieldOf(kind, name);
    if (!this.byField.has(key)) return false;
    await this.dependencies.map.set({ [key]: undefined });
    return true;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private take(key: string, value: string | undefined): void {
    const [, kind, name] = field.exec(key) ?? [];
    if (kind === undefined || name === undefined) return;
    const stored = value === undefined ? undefined : parse(value);
    if (stored === undefined) {
      this.byField.delete(key);
      return;
    }
    const { value: until, ...who } = stored;
    this.byField.set(key, { kind: kind as TraceRule['kind'], name, until, ...who });
  }

  /** Deletes ended rules from the store. Every replica does this; the first one is enough. */
  private async sweep(): Promise<void> {
    const now = this.dependencies.now();
    const ended = [...this.byField].filter(([, { until }]) => until <= now).map(([key]) => [key, undefined]);
    if (ended.length === 0) return;
    await this.dependencies.map.set(Object.fromEntries(ended) as Record<string, undefined>).catch(() => {
      // The store is unreachable: the next run tries again.
    });
  }
}

function fieldOf(kind: TraceRule['kind'], name: string): string {
  return `trace:${kind}:${name}`;
}

function parse(text: string): { value: number; by: string; at: number; reason?: string } | undefined {
  try {
    return JSON.parse(text) as { value: number; by: string; at: number; reason?: string };
  } catch {
    return undefined;
  }
}
