import assert from 'node:assert/strict';
import type { Position } from '../../shared/position.js';
import type { GapReason, OrderedSink } from '../../server/log/feed.js';
import type { LogEntry } from '../../server/log/broker.js';
import type { ScriptedLog } from './scripted-log.js';

/**
 * Receives what a feed delivers of a {@link ScriptedLog}, and fails if the feed breaks its contract: every
 * message once and in order, or a gap with the range of lost messages.
 */
export class RecordingSink implements OrderedSink {
  position: Position = { epoch: '', sequence: 0 };
  readonly delivered: string[] = [];
  readonly gaps: { from: Position; to: Position; reason: GapReason }[] = [];
  /** The code under test may catch what a sink throws. */
  private failure: unknown;

  constructor(private readonly log: ScriptedLog) {}

  startAt(position: Position): void {
    this.position = { epoch: position.epoch, sequence: position.sequence };
  }

  deliver(epoch: string, entries: readonly LogEntry[]): void {
    this.check(() => {
      assert.ok(entries.length > 0, 'a delivery is not empty');
      for (const { sequence, entry } of entries) {
        assert.equal(sequence, this.position.sequence + 1, 'messages are consecutive');
        assert.equal(entry.toString(), `${epoch}:${sequence}`, 'the message of that position');
        this.position = { epoch, sequence };
        this.delivered.push(entry.toString());
      }
    });
  }

  gap(from: Position, to: Position, reason: GapReason): void {
    this.check(() => {
      assert.equal(from.sequence, this.position.sequence, 'a gap begins at the delivered position');
      if (reason === 'history_trimmed') {
        assert.ok(to.sequence > from.sequence, 'something is missing');
        for (let sequence = from.sequence + 1; sequence <= to.sequence; sequence++)
          assert.ok(!this.log.alwaysHeld(to.epoch, sequence), `${sequence} is lost`);
      } else assert.notEqual(to.epoch, from.epoch);
      this.gaps.push({ from: { ...this.position }, to: { epoch: to.epoch, sequence: to.sequence }, reason });
      this.position = { epoch: to.epoch, sequence: to.sequence };
    });
  }

  /** @throws the first failure, if any */
  verify(): void {
    if (this.failure !== undefined) throw this.failure as Error;
    // When a log drops its oldest epoch, messages of it look like new ones.
    if (this.log.epochCount <= 8)
      assert.equal(new Set(this.delivered).size, this.delivered.length, `twice: ${this.delivered.join()}`);
  }

  private check(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }
}
