import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusalError } from '../../../shared/errors.js';
import {
  longestBackoffMs,
  Supervisor,
  type SupervisedChild,
} from '../../../server/supervision/supervisor.js';
import { WorkPool } from '../../../server/supervision/work-pool.js';
import { SlidingWindow } from '../../../server/primitives/sliding-window.js';
import { silentLog } from '../../../server/logging/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { until } from '../../support/wait.js';

describe('[ACTOR] Supervisor', () => {
  let clock: FakeClock;
  let stopped: string[];
  let supervisor: Supervisor;
  const make = (settings: Partial<{ maxRestarts: number; windowMs: number; backoffMs: number }> = {}) => {
    supervisor = new Supervisor(
      { log: silentLog, onStopped: ({ id }) => stopped.push(id), clock },
      { maxRestarts: 5, windowMs: 60_000, backoffMs: 1, ...settings },
    );
  };
  /** After the delay before the first restarts. */
  const running = async (child: SupervisedChild) => {
    await clock.advance(100);
    assert.equal(child.state, 'running');
  };

  beforeEach(() => {
    clock = new FakeClock();
    stopped = [];
    make();
  });
  afterEach(() => supervisor.close());

  it('restarts a child after each failure, and stops it once after more than five in a minute', async () => {
    let restarts = 0;
    for (let n = 1; n <= 5; n++) {
      const child = supervisor.failed('x', new Error('no'));
      child.onRestart = () => restarts++;
      assert.equal(child.state, 'restarting');
      await running(child);
      assert.equal(child.restartCount, n);
    }
    const child = supervisor.failed('x', new Error('again'));
    assert.deepEqual([child.state, child.lastError, restarts], ['stopped', 'again', 5]);
    supervisor.failed('x', new Error('of what was under way'));
    assert.deepEqual(stopped, ['x']);
    assert.deepEqual(supervisor.counts, { failures: 7, restarts: 5, stops: 1 });
    assert.equal(supervisor.stopped, 1);
  });

  it('drops failures that are older than the window', async () => {
    for (let n = 0; n < 20; n++) {
      const child = supervisor.failed('x', new Error('now and then'));
      await running(child);
      await clock.advance(12_001);
    }
    assert.deepEqual(stopped, []);
  });

  it('waits longer after each failure, at most ten seconds, and reports how long', () => {
    make({ maxRestarts: 1000, backoffMs: 50 });
    const waits = Array.from({ length: 12 }, () => {
      const { details } = supervisor.failed('x', new Error('no')).refusal();
      return details.retryAfterMs;
    });
    assert.deepEqual(waits.slice(0, 4), [50, 100, 200, 400]);
    assert.equal(waits.at(-1), longestBackoffMs);
  });

  it('refuses work for a child that does not run, and resets its failures on a manual restart', async () => {
    make({ maxRestarts: 0 });
    const child = supervisor.failed('x', new Error('no'));
    assert.throws(
      () => child.check(),
      (error) =>
        error instanceof RefusalError && error.code === 'unavailable' && error.details.retryAfterMs! > 0,
    );
    assert.equal(supervisor.restart('y'), false);
    assert.equal(supervisor.restart('x'), true);
    child.check();
    make({ maxRestarts: 1 });
    await running(supervisor.failed('z', new Error('no')));
    supervisor.restart('z');
    assert.equal(supervisor.failed('z', new Error('no')).state, 'restarting', 'the count restarts');
  });

  it('supervises each child separately', () => {
    make({ maxRestarts: 0 });
    supervisor.failed('x', new Error('no'));
    assert.equal(supervisor.find('y'), undefined);
    assert.equal(supervisor.find('x')?.state, 'stopped');
  });

  it('keeps a bounded number of children, and lets removed ones run', () => {
    make({ maxRestarts: 0 });
    const first = supervisor.failed('child-0', new Error('no'));
    for (let n = 1; n <= 10_000; n++) supervisor.failed(`child-${n}`, new Error('no'));
    assert.equal([...supervisor.children()].length, 10_000);
    assert.deepEqual([supervisor.find('child-0'), first.state], [undefined, 'running']);
  });
});

describe('[ACTOR] WorkPool', () => {
  const code = (wanted: string) => (error: unknown) => error instanceof RefusalError && error.code === wanted;

  it('runs a few tasks at a time, in order, and refuses more than can wait', async () => {
    const pool = new WorkPool({ size: 2, capacity: 3, limitMs: 10_000 });
    const open: (() => void)[] = [];
    const started: number[] = [];
    const task = (n: number) => () => {
      started.push(n);
      return new Promise<number>((resolve) => open.push(() => resolve(n)));
    };
    const results = [0, 1, 2, 3, 4].map((n) => pool.run(task(n)));
    assert.deepEqual(pool.health, { running: 2, waiting: 3, failures: 0 });
    await assert.rejects(pool.run(task(5)), code('busy'));
    for (let n = 0; n < 5; n++) {
      await until(() => open.length > 0, 'a task runs');
      open.shift()!();
      await results[n];
    }
    assert.deepEqual(started, [0, 1, 2, 3, 4]);
    assert.deepEqual(await Promise.all(results), [0, 1, 2, 3, 4]);
    pool.close();
  });

  it('aborts a task that takes too long, and continues with the next', async () => {
    const pool = new WorkPool({ size: 1, capacity: 10, limitMs: 20 });
    let aborted = false;
    const hanging = pool.run(
      (signal) => new Promise(() => signal.addEventListener('abort', () => (aborted = true))),
    );
    const next = pool.run(() => Promise.resolve('done'));
    await assert.rejects(hanging, code('timeout'));
    assert.equal(await next, 'done');
    assert.deepEqual([aborted, pool.health.failures], [true, 1]);
    await pool.run(() => sleep(40), 10_000);
    pool.close();
  });

  it('aborts the running tasks and refuses the waiting ones when it is closed', async () => {
    const pool = new WorkPool({ size: 1, capacity: 10, limitMs: 10_000 });
    const running = pool.run(
      (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    );
    const waiting = pool.run(() => Promise.resolve());
    pool.close();
    pool.close();
    await assert.rejects(running, /aborted/);
    await assert.rejects(waiting, code('shutting_down'));
    await assert.rejects(
      pool.run(() => Promise.resolve()),
      code('shutting_down'),
    );
  });
});

describe('[ACTOR] a window without reads', () => {
  it('keeps its slots and no more', () => {
    const window = new SlidingWindow(10, 6);
    for (let now = 0; now < 100_000; now += 10) window.add(now, 1);
    const { counts } = window as unknown as { counts: unknown[] };
    assert.ok(counts.length <= 7, String(counts.length));
  });
});
