import { RefusalError } from '../../shared/errors.js';
import type { ReplicatedMap } from '../cluster/replicated-map.js';
import type { CommandRates } from '../limits/command-limiter.js';

/**
 * Mode of the service. `normal`: everything is allowed. `read_only`: no publishes and no direct messages;
 * connected clients can still read, subscribe and acknowledge. `maintenance`: only commands that keep a
 * client connected; messages in the logs are still delivered.
 */
export const modes = ['normal', 'read_only', 'maintenance'] as const;

export type Mode = (typeof modes)[number];

/** Operator, time (milliseconds since 1970) and reason of a change. */
export interface Switched {
  readonly by: string;
  readonly at: number;
  readonly reason?: string;
}

/** The runtime control, as `/health` and `/admin/emergency-mode` show it. */
export interface ControlSnapshot {
  readonly mode: Mode;
  readonly accepts_connections: boolean;
  readonly presence: 'on' | 'shed';
  readonly frozen_topics: readonly string[];
  readonly rate_limits: { readonly connection_rps: number; readonly user_rps: number };
  /** The fields that differ from the settings, by name, with who changed them. */
  readonly switched: Readonly<Record<string, Switched>>;
}

/** A change that has taken effect on this replica. */
export type ControlChange =
  | { readonly kind: 'mode'; readonly mode: Mode; readonly reason?: string }
  | { readonly kind: 'connections'; readonly accepted: boolean }
  | { readonly kind: 'presence'; readonly shed: boolean }
  | { readonly kind: 'topic'; readonly topic: string; readonly frozen: boolean }
  | { readonly kind: 'rates'; readonly rates: CommandRates }
  | { readonly kind: 'log_filter'; readonly filter: string | undefined };

/** A value of the shared map. */
interface Stored extends Switched {
  readonly value: unknown;
}

const frozenPrefix = 'frozen:';
/** Separate fields: if two operators change one rate each, both changes remain. */
const rateFields = { connectionRps: 'connection_rps', userRps: 'user_rps' } as const;
const retryAfterMs = 5000;

/**
 * The runtime control: what operators change while the service runs, the same on all replicas. It is stored,
 * so it survives restarts, and every replica holds it in memory, so reading costs nothing and works while the
 * store is unreachable.
 */
export class ControlState {
  private currentMode: Mode = 'normal';
  private accepted = true;
  private shed = false;
  private currentRates: CommandRates;
  private readonly frozen = new Set<string>();
  private readonly listeners: ((change: ControlChange) => void)[] = [];

  constructor(
    private readonly map: ReplicatedMap,
    private readonly settings: { readonly rates: CommandRates },
  ) {
    this.currentRates = settings.rates;
    for (const [field, value] of map.entries()) this.take(field, value);
    map.onChange((field, value) => this.take(field, value));
  }

  get mode(): Mode {
    return this.currentMode;
  }

  get rates(): CommandRates {
    return this.currentRates;
  }

  /** Called after each change that takes effect on this replica, from whichever replica it came. */
  onChange(listener: (change: ControlChange) => void): void {
    this.listeners.push(listener);
  }

  /** @throws RefusalError `read_only` if the mode forbids the command */
  checkCommand({ name, refusedIn }: { readonly name: string; readonly refusedIn: readonly Mode[] }): void {
    if (!refusedIn.includes(this.mode)) return;
    throw new RefusalError('read_only', `the service is in mode ${this.mode}: ${name} is switched off`, {
      retryAfterMs,
    });
  }

  /** @throws RefusalError `topic_frozen` */
  checkTopic(topic: string): void {
    if (this.frozen.size === 0 || !this.frozen.has(topic)) return;
    throw new RefusalError('topic_frozen', `an operator has frozen topic ${topic}`, { retryAfterMs });
  }

  /**
   * @throws RefusalError `at_capacity` while new connections are switched off; `unavailable` until it is
   * known whether they are
   */
  checkConnect(): void {
    this.map.checkKnown('what is switched off');
    if (this.accepted) return;
    throw new RefusalError('at_capacity', 'new connections are switched off by an operator', {
      retryAfterMs,
    });
  }

  snapshot(): ControlSnapshot {
    const switched: Record<string, Switched> = {};
    for (const [field, text] of this.map.entries()) {
      const stored = parse(text);
      if (stored === undefined) continue;
      const { by, at, reason } = stored;
      switched[field] = { by, at, ...(reason !== undefined && { reason }) };
    }
    return {
      mode: this.mode,
      accepts_connections: this.accepted,
      presence: this.shed ? 'shed' : 'on',
      frozen_topics: [...this.frozen].sort(),
      rate_limits: {
        connection_rps: this.currentRates.connectionRps,
        user_rps: this.currentRates.userRps,
      },
      switched,
    };
  }

  // Changes. While the store is unreachable each rejects with `unavailable` and changes nothing.

  setMode(mode: Mode, who: Switched): Promise<void> {
    return this.write('mode', mode === 'normal' ? undefined : mode, who);
  }

  acceptConnections(accepted: boolean, who: Switched): Promise<void> {
    return this.write('connections', accepted ? undefined : false, who);
  }

  shedPresence(shed: boolean, who: Switched): Promise<void> {
    return this.write('presence', shed ? 'shed' : undefined, who);
  }

  freeze(topic: string, frozen: boolean, who: Switched): Promise<void> {
    return this.write(frozenPrefix + topic, frozen ? true : undefined, who);
  }

  /** Rates that are not given stay unchanged. */
  setRates({ connectionRps, userRps }: Partial<CommandRates>, who: Switched): Promise<void> {
    return this.writeAll(
      {
        ...(connectionRps !== undefined && { [rateFields.connectionRps]: connectionRps }),
        ...(userRps !== undefined && { [rateFields.userRps]: userRps }),
      },
      who,
    );
  }

  /** Returns to the rates of the settings. */
  resetRates(who: Switched): Promise<void> {
    return this.writeAll({ [rateFields.connectionRps]: undefined, [rateFields.userRps]: undefined }, who);
  }

  /** `undefined`: returns to the filter of the settings. */
  setLogFilter(filter: string | undefined, who: Switched): Promise<void> {
    return this.write('log_filter', filter, who);
  }

  private write(field: string, value: unknown, who: Switched): Promise<void> {
    return this.writeAll({ [field]: value }, who);
  }

  private writeAll(values: Readonly<Record<string, unknown>>, who: Switched): Promise<void> {
    const stored = (value: unknown) =>
      value === undefined ? undefined : JSON.stringify({ value, ...who } satisfies Stored);
    return this.map.set(
      Object.fromEntries(Object.entries(values).map(([field, value]) => [field, stored(value)])),
    );
  }

  private take(field: string, text: string | undefined): void {
    const stored = text === undefined ? undefined : parse(text);
    const change = this.apply(field, stored);
    if (change !== undefined) for (const listener of this.listeners) listener(change);
  }

  private apply(field: string, stored: Stored | undefined): ControlChange | undefined {
    if (field.startsWith(frozenPrefix)) {
      const topic = field.slice(frozenPrefix.length);
      const frozen = stored !== undefined;
      if (frozen === this.frozen.has(topic)) return undefined;
      if (frozen) this.frozen.add(topic);
      else this.frozen.delete(topic);
      return { kind: 'topic', topic, frozen };
    }
    switch (field) {
      case 'mode': {
        // A newer replica may set a mode that this version does not know: the strictest mode applies.
        const mode =
          stored === undefined ? 'normal' : (modes.find((one) => one === stored.value) ?? 'maintenance');
        if (mode === this.mode) return undefined;
        this.currentMode = mode;
        return { kind: 'mode', mode, ...(stored?.reason !== undefined && { reason: stored.reason }) };
      }
      case 'connections':
        if (this.accepted === (stored === undefined)) return undefined;
        this.accepted = stored === undefined;
        return { kind: 'connections', accepted: this.accepted };
      case 'presence':
        if (this.shed === (stored !== undefined)) return undefined;
        this.shed = stored !== undefined;
        return { kind: 'presence', shed: this.shed };
      case rateFields.connectionRps:
        return this.changeRates({ connectionRps: rateOf(stored) ?? this.settings.rates.connectionRps });
      case rateFields.userRps:
        return this.changeRates({ userRps: rateOf(stored) ?? this.settings.rates.userRps });
      case 'log_filter':
        return { kind: 'log_filter', filter: stored?.value as string | undefined };
      default:
        return undefined;
    }
  }

  private changeRates(changed: Partial<CommandRates>): ControlChange {
    this.currentRates = { ...this.currentRates, ...changed };
    return { kind: 'rates', rates: this.currentRates };
  }
}

function rateOf(stored: Stored | undefined): number | undefined {
  return typeof stored?.value === 'number' ? stored.value : undefined;
}

function parse(text: string): Stored | undefined {
  try {
    const stored: unknown = JSON.parse(text);
    return typeof stored === 'object' && stored !== null ? (stored as Stored) : undefined;
  } catch {
    return undefined;
  }
}
