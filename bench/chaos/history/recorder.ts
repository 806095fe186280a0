import type { HistoryEvent, HistoryFact } from './event.js';

/** Records what the clients of a run see. All clients are in one process, so its clock orders their events. */
export class Recorder {
  readonly events: HistoryEvent[] = [];
  private readonly startedAt = performance.now();

  /** Milliseconds since the run began. */
  get now(): number {
    return Math.round((performance.now() - this.startedAt) * 10) / 10;
  }

  add(fact: HistoryFact): void {
    this.events.push({ ...fact, at: this.now });
  }
}
