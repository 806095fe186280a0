import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Position } from '../../../shared/position.js';
import { LogFeed } from '../../../server/log/feed.js';
import { isPositionIn, sharedSequence } from '../../../server/log/lineage.js';
import { silentLog } from '../../../server/logging/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingSink } from '../../support/recording-sink.js';
import { ScriptedLog } from '../../support/scripted-log.js';

describe('[P1] [P2] [P5] LogFeed', () => {
  let clock: FakeClock;
  let log: ScriptedLog;
  let sink: RecordingSink;
  let feed: LogFeed;

  const open = () => feed.open((position) => sink.startAt(position));
  const make = () => {
    feed = new LogFeed({ broker: log.broker, log: silentLog, clock }, log.topic, sink, { sparse: false });
  };
  const receive = async (...batches: Parameters<LogFeed['onBatch']>[0][]) => {
    for (const batch of batches) feed.onBatch(batch);
    await turn();
  };

  beforeEach(() => {
    clock = new FakeClock();
    log = new ScriptedLog();
    sink = new RecordingSink(log);
    make();
  });
  afterEach(() => sink.verify());

  it('begins at the end of its log, and delivers live batches', async () => {
    log.append(3);
    await open();
    assert.deepEqual([feed.isOpen, sink.position], [true, { epoch: 'e1', sequence: 3 }]);
    await receive(log.append(2));
    assert.deepEqual(sink.delivered, ['e1:4', 'e1:5']);
  });

  it('returns the time of the last traffic', async () => {
    await open();
    await clock.advance(70);
    await receive(log.append(1));
    await clock.advance(30);
    assert.equal(clock.now() - feed.lastTraffic, 30);
  });

  it('fills a hole from the log before it delivers later messages', async () => {
    await open();
    log.append(1);
    await receive(log.append(1));
    assert.deepEqual(sink.delivered, ['e1:1', 'e1:2']);
    assert.deepEqual(sink.gaps, []);
  });

  it('delivers a batch once, however often it arrives', async () => {
    await open();
    const [first, second] = [log.append(1), log.append(2)];
    await receive(first, second, first, second, first);
    assert.deepEqual(sink.delivered, ['e1:1', 'e1:2', 'e1:3']);
  });

  it('announces messages that the log no longer has', async () => {
    await open();
    log.append(3);
    log.trim(1);
    await receive(log.append(1));
    assert.deepEqual(sink.gaps, [
      { from: { epoch: 'e1', sequence: 0 }, to: { epoch: 'e1', sequence: 2 }, reason: 'history_trimmed' },
    ]);
    assert.deepEqual(sink.delivered, ['e1:3', 'e1:4']);
  });

  it('goes back to the end of a log that lost its last messages', async () => {
    await open();
    for (let n = 0; n < 4; n++) await receive(log.append(1));
    log.rollBack(2);
    await receive(log.append(1));
    assert.deepEqual(sink.gaps, [
      { from: { epoch: 'e1', sequence: 4 }, to: { epoch: 'e2', sequence: 2 }, reason: 'log_rolled_back' },
    ]);
    assert.equal(sink.delivered.at(-1), 'e2:3');
  });

  it('does not deliver messages again when the log is restored from before the last epoch', async () => {
    await open();
    await receive(log.append(1));
    await receive(log.append(1));
    log.rollBack(0);
    await receive(log.append(1));
    log.rollBack(2);
    await receive(log.append(1));
    assert.deepEqual(sink.delivered, ['e1:1', 'e1:2', 'e2:3', 'e3:2']);
    assert.deepEqual(
      sink.gaps.map(({ to, reason }) => [to, reason]),
      [[{ epoch: 'e3', sequence: 1 }, 'log_rolled_back']],
    );
  });

  it('starts anew with a log that was lost', async () => {
    await open();
    await receive(log.append(2));
    log.lose();
    await receive(log.append(1));
    assert.deepEqual(sink.delivered, ['e1:1', 'e1:2', 'e2:1']);
    assert.deepEqual(
      sink.gaps.map(({ reason }) => reason),
      ['log_lost'],
    );
  });

  it('does not take messages appended after its read for trimmed', async () => {
    await open();
    log.holdsCalls = true;
    log.append(1);
    feed.check(log.end);
    log.append(1);
    await receive(log.append(1));
    log.calls.shift()!.early();
    await turn();
    log.calls.shift()!.late();
    await turn();
    assert.deepEqual(sink.delivered, ['e1:1', 'e1:2', 'e1:3']);
  });

  it('fills a hole before what arrived while it was opening, without waiting for more', async () => {
    log.holdsCalls = true;
    const opening = open();
    await turn();
    log.append(1);
    await receive(log.append(1));
    log.calls.shift()!.early();
    await opening;
    log.holdsCalls = false;
    while (log.calls.length > 0) log.calls.shift()!.late();
    await turn();
    assert.deepEqual(sink.delivered, ['e1:1', 'e1:2']);
  });

  it('retries after a failed read with the next batch, or when its position is checked', async () => {
    await open();
    for (const again of ['batch', 'check'] as const) {
      log.holdsCalls = true;
      log.append(1);
      await receive(log.append(1));
      log.calls.shift()!.fail(new Error('no answer'));
      await turn();
      log.holdsCalls = false;
      if (again === 'batch') await receive(log.append(1));
      else feed.check(log.end);
      await turn();
      assert.equal(sink.position.sequence, log.end.sequence);
    }
  });

  it('can be brought up to a position that another reader has seen, also while it fills a hole', async () => {
    await open();
    log.append(3);
    await feed.reach(log.end);
    assert.equal(sink.position.sequence, 3);
    log.holdsCalls = true;
    feed.check({ ...log.end, sequence: 4 });
    const under = log.calls.shift()!;
    log.append(2);
    const reached = feed.reach(log.end);
    under.early();
    await turn();
    log.holdsCalls = false;
    for (const call of log.calls.splice(0)) call.late();
    await reached;
    assert.deepEqual(sink.delivered, ['e1:1', 'e1:2', 'e1:3', 'e1:4', 'e1:5']);
    log.rollBack(1);
    await feed.reach(log.end);
    assert.deepEqual(feed.position.epoch, log.end.epoch);
  });

  it('does not wait for a position that its log does not have', async () => {
    await open();
    await feed.reach({ epoch: 'other', sequence: 9, firstSequence: 1, previous: [] });
    assert.deepEqual(sink.delivered, []);
  });

  it('reports a failed open, and can be opened again', async () => {
    log.holdsCalls = true;
    const opening = open();
    await turn();
    log.calls.shift()!.fail(new Error('no answer'));
    await assert.rejects(opening, /no answer/);
    assert.equal(feed.isOpen, false);
    log.holdsCalls = false;
    await open();
    assert.equal(feed.isOpen, true);
  });

  it('keeps a bounded number of batches while it cannot read, and reads the rest from the log', async () => {
    await open();
    log.holdsCalls = true;
    log.append(1);
    for (let n = 0; n < 1500; n++) feed.onBatch(log.append(1));
    log.holdsCalls = false;
    while (log.calls.length > 0) log.calls.shift()!.late();
    await turn();
    assert.equal(sink.delivered.length, 1501);
  });

  it('says once that its log goes on under a new epoch, though nothing is written, and not of a log that goes on as it was', async () => {
    const goesOn: Position[] = [];
    feed = new LogFeed(
      { broker: log.broker, log: silentLog, clock },
      log.topic,
      { deliver: () => {}, gap: () => assert.fail('nothing is lost'), goesOn: (to) => goesOn.push(to) },
      { sparse: false },
    );
    log.append(2);
    await feed.open();
    const check = async () => {
      feed.check(log.end);
      await turn();
    };
    log.append(1);
    await check();
    assert.deepEqual(goesOn, []);
    log.rollBack(0);
    await check();
    await check();
    assert.deepEqual(goesOn, [{ epoch: 'e2', sequence: 3 }]);
  });

  it('does not announce a gap for a message removed from an inbox', async () => {
    const delivered: number[] = [];
    let gaps = 0;
    feed = new LogFeed(
      { broker: log.broker, log: silentLog, clock },
      log.topic,
      {
        deliver: (_epoch, entries) => delivered.push(...entries.map(({ sequence }) => sequence)),
        gap: () => gaps++,
      },
      { sparse: true },
    );
    await feed.open();
    log.append(4);
    log.remove(2);
    feed.check(log.end);
    await turn();
    assert.deepEqual([delivered, gaps, feed.position.sequence], [[1, 3, 4], 0, 4]);
  });

  it('delivers nothing after it was closed', async () => {
    await open();
    log.holdsCalls = true;
    log.append(1);
    await receive(log.append(1));
    feed.close();
    log.calls.shift()!.late();
    await receive(log.append(1));
    assert.deepEqual(sink.delivered, []);
  });
});

describe('[P5] the sequence shared by two states of a log', () => {
  const lineage = (epoch: string, sequence: number, ...previous: [string, number][]) => ({
    epoch,
    sequence,
    previous: previous.map(([earlier, end]) => ({ epoch: earlier, sequence: end })),
  });

  it('is the lower end of their newest common epoch', () => {
    for (const [one, other, expected] of [
      [lineage('e1', 7), lineage('e1', 5), 5],
      [lineage('e1', 7), lineage('e2', 9, ['e1', 5]), 5],
      [lineage('e1', 3), lineage('e2', 9, ['e1', 5]), 3],
      [lineage('e2', 7, ['e1', 5]), lineage('e3', 9, ['e1', 4]), 4],
      [lineage('e2', 7, ['e1', 5]), lineage('e3', 9, ['e2', 6], ['e1', 5]), 6],
      [lineage('e1', 7), lineage('e2', 7), undefined],
    ] as const) {
      assert.equal(sharedSequence(one, other), expected);
      assert.equal(sharedSequence(other, one), expected, 'in both directions');
    }
  });

  it('shows which positions are still in a log that has gone back twice, and begun many epochs', () => {
    // Ten epochs of ten messages; the third and the seventh have lost their last five.
    const previous: [string, number][] = [];
    let end = 0;
    for (let n = 1; n <= 10; n++) {
      end += n === 3 || n === 7 ? 5 : 10;
      previous.unshift([`e${n}`, end]);
    }
    const log = lineage('e11', end + 1, ...previous);
    for (const [epoch, last] of previous) {
      assert.equal(isPositionIn(log, { epoch, sequence: last }), true, epoch);
      assert.equal(isPositionIn(log, { epoch, sequence: last + 1 }), false, epoch);
    }
    assert.equal(isPositionIn(log, { epoch: 'e0', sequence: 1 }), false);
  });
});
