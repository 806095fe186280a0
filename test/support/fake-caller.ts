import { BodyBudget } from '../../server/limits/body-budget.js';
import { newLimitCounts } from '../../server/limits/limit-counts.js';
import type { Answer } from '../../server/commands/router.js';
import type { ClientConnection } from '../../server/gateway/client-connection.js';
import { InboundControl } from '../../server/gateway/inbound/inbound-control.js';
import type { InboundBudget } from '../../server/gateway/inbound/inbound-budget.js';
import type { Clock } from '../../server/primitives/clock.js';
import { inboundSettings } from './inbound-settings.js';

/** A started command, which the test ends. */
export interface StartedCommand {
  readonly command: string;
  readonly request: unknown;
  readonly end: (answer: Answer) => void;
}

/**
 * A connection for the command queue: an outbox that the test makes overfull, and a WebSocket that can be
 * paused.
 */
export class FakeCaller {
  isOverfull = false;
  /** Whether its WebSocket is paused. */
  paused = false;
  disconnectedFor: string | undefined;
  private drainListeners: (() => void)[] = [];

  get connection(): ClientConnection {
    return this as unknown as ClientConnection;
  }

  get outbox(): { readonly isOverfull: boolean; onceDrained(listener: () => void): void } {
    return {
      isOverfull: this.isOverfull,
      onceDrained: (listener) => this.drainListeners.push(listener),
    };
  }

  readonly inbound: InboundBudget;

  /** @param clock of the budget of its transport, which is not read while {@link paused} */
  constructor(clock: Clock) {
    const reader = {
      stop: () => void (this.paused = true),
      start: () => void (this.paused = false),
      limitFrames: () => {},
    };
    const control = new InboundControl(
      {
        clock,
        connections: { isPressed: false, isAccepting: false },
        bodies: new BodyBudget({ counts: newLimitCounts(), clock }, { limitBytes: 0 }),
        callerOf: () => '',
        closeTransport: () => {},
      },
      inboundSettings(),
    );
    this.inbound = control.newBudget(reader, 'json');
  }

  /** Simulates that the client has read everything. */
  drain(): void {
    this.isOverfull = false;
    const listeners = this.drainListeners;
    this.drainListeners = [];
    for (const listener of listeners) listener();
  }

  disconnect(reason: { readonly code: string }): void {
    this.disconnectedFor = reason.code;
  }
}
