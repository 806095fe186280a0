import jwt from 'jsonwebtoken';
import type { Random } from '../../seeded-random.js';
import type { Recorder } from '../history/recorder.js';
import { chaosSecret } from '../processes/replica.js';
import type { OpenWire, Wire, WireKind } from './wire.js';

/** A way to a replica. */
export interface Door {
  readonly replica: string;
  readonly port: number;
}

/** What every client of a run uses. */
export interface ClientDependencies {
  readonly recorder: Recorder;
  readonly openWire: OpenWire;
  readonly random: Random;
  readonly doors: readonly Door[];
}

/** Names a client, and says how it talks. */
export interface ClientPlan {
  readonly name: string;
  readonly kind: WireKind;
  /** Its user, if that is not named like the client. */
  readonly user?: string;
}

const reconnectMinMs = 50;
const reconnectSpreadMs = 250;

/**
 * A client that connects to any replica and, when its connection ends, to any replica again. What it does with a
 * connection is up to the classes that extend it.
 */
export abstract class ChaosClient {
  /** Counts the connections. */
  protected connection = 0;
  protected wire: Wire | undefined;
  protected door: Door | undefined;
  /** The connection has its `status`. */
  protected isConnected = false;
  private isStopped = false;
  /** Milliseconds of `performance.now()` before which it does not connect. */
  private awayUntil = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    protected readonly dependencies: ClientDependencies,
    readonly plan: ClientPlan,
  ) {}

  get name(): string {
    return this.plan.name;
  }

  get user(): string {
    return this.plan.user ?? this.plan.name;
  }

  get isUp(): boolean {
    return this.isConnected;
  }

  start(): void {
    this.connect();
  }

  /** Ends for good. */
  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
    this.wire?.abort();
  }

  /** Ends the connection without a farewell; the client connects again. */
  drop(): void {
    this.wire?.abort();
  }

  /** Ends the connection, and connects again after this time. */
  stayAway(forMs: number): void {
    this.awayUntil = performance.now() + forMs;
    this.wire?.abort();
  }

  /** Reads nothing for a while. */
  pauseReading(forMs: number): void {
    this.wire?.pauseReading(forMs);
  }

  /** What the client says when it connects, beside its token. */
  protected abstract opening(): { sessionId?: string };
  protected abstract onConnected(wire: Wire, details: Record<string, unknown>): void;
  protected abstract onEvent(event: string, data: Record<string, unknown>, acknowledge: () => void): void;
  protected abstract onDisconnected(): void;

  private connect(): void {
    const { openWire, doors, random } = this.dependencies;
    const door = doors[random(doors.length)]!;
    this.door = door;
    this.connection++;
    const number = this.connection;
    let hasEnded = false;
    const wire = openWire(
      this.plan.kind,
      { port: door.port, token: tokenOf(this.user), ...this.opening() },
      {
        onEvent: (event, data, acknowledge) => {
          if (hasEnded || number !== this.connection) return;
          const { status, details } = data as { status?: string; details?: Record<string, unknown> };
          if (event === 'status' && status === 'connected') {
            this.isConnected = true;
            this.onConnected(wire, details ?? {});
          } else this.onEvent(event, data, acknowledge);
        },
        onEnd: () => {
          hasEnded = true;
          this.isConnected = false;
          this.onDisconnected();
          const awayMs = Math.max(0, this.awayUntil - performance.now());
          if (!this.isStopped)
            this.timer = setTimeout(
              () => this.connect(),
              awayMs + reconnectMinMs + random(reconnectSpreadMs),
            );
        },
      },
    );
    this.wire = wire;
  }
}

/** The clocks of replicas may be hours wrong: tokens have no expiry, and were issued long ago. */
function tokenOf(user: string): string {
  return jwt.sign({ sub: user, roles: ['user'], iat: 1_700_000_000 }, chaosSecret);
}
