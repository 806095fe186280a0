import type { Clock, Timer } from '../clock.js';

interface HubCheckDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  /** Asks whoever holds the connection. @param wake the network may have changed, so the connection is probed too */
  readonly probe: (wake: boolean) => void;
  /** Nobody has answered: this tab takes the place. */
  readonly steal: () => void;
}

/** How often a tab makes sure that the connection has a living holder. */
const checkMs = 10_000;
/** Tabs that find a dead holder at once do not take its place at once. */
const stealWithinMs = 300;

/** Makes sure that the connection of the tabs has a holder that answers. */
export class HubCheck {
  private answer: Timer | undefined;
  private next: Timer | undefined;
  private missed = 0;

  constructor(
    private readonly dependencies: HubCheckDependencies,
    private readonly answerMs: number,
  ) {}

  now(wake: boolean): void {
    const { clock, random, probe, steal } = this.dependencies;
    probe(wake);
    this.answer ??= clock.setTimeout(() => {
      this.answer = undefined;
      // This page may have been stopped itself, so that the answer is still on its way: once more.
      if (++this.missed < 2) return this.now(wake);
      this.answer = clock.setTimeout(() => {
        this.alive();
        steal();
      }, random() * stealWithinMs);
    }, this.answerMs);
  }

  /** The holder has answered. */
  alive(): void {
    this.stop();
    this.missed = 0;
    this.next = this.dependencies.clock.setTimeout(() => this.now(false), checkMs);
    this.next.unref?.();
  }

  stop(): void {
    const { clock } = this.dependencies;
    clock.clearTimer(this.answer);
    clock.clearTimer(this.next);
    this.answer = undefined;
  }
}
