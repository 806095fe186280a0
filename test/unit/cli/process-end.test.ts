import assert from 'node:assert/strict';
import { ProcessEnd } from '../../../server/cli/process-end.js';
import { startProblem } from '../../../server/cli/start-problem.js';
import { silentLog } from '../../../server/logging/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { recordingLog } from '../../support/recording-log.js';

describe('the end of the process', () => {
  const lines: string[] = [];
  const exits: number[] = [];
  let clock: FakeClock;
  let finish: (report: { unfinished: string[] }) => void;
  let fail: (error: unknown) => void;
  let stops: number;
  let flush: () => Promise<void>;
  let end: ProcessEnd;

  beforeEach(() => {
    clock = new FakeClock();
    lines.length = exits.length = stops = 0;
    flush = () => Promise.resolve();
    const log = recordingLog((level, message) => lines.push(`${level} ${message}`));
    const stop = () => {
      stops++;
      return new Promise<{ unfinished: string[] }>((resolve, reject) => {
        finish = resolve;
        fail = reject;
      });
    };
    end = new ProcessEnd(
      { service: { stop }, log, flush: () => flush(), exit: (code) => exits.push(code), clock },
      { limitMs: 10_000 },
    );
  });

  it('is in order: exit code 0 after the last lines of the log', async () => {
    let flushed: () => void = () => {};
    flush = () => new Promise((resolve) => (flushed = resolve));
    end.stop('SIGTERM');
    finish({ unfinished: [] });
    await clock.settle();
    assert.deepEqual(exits, []);
    flushed();
    await clock.settle();
    assert.deepEqual(exits, [0]);
    assert.deepEqual(lines, ['info Stopping']);
  });

  it('has exit code 3 if a part did not stop', async () => {
    end.stop('SIGTERM');
    finish({ unfinished: ['storage'] });
    await clock.settle();
    assert.deepEqual(exits, [3]);
  });

  it('has exit code 3 and a line in the log if stopping fails', async () => {
    end.stop('SIGTERM');
    fail(new Error('made to fail'));
    await clock.settle();
    assert.deepEqual([exits, lines], [[3], ['info Stopping', 'error Ended by force']]);
  });

  it('comes by force within the time limit, also if the log has no reader', async () => {
    flush = () => new Promise(() => {});
    end.stop('SIGTERM');
    await clock.advance(10_000);
    assert.deepEqual([exits, lines], [[3], ['info Stopping', 'error Ended by force']]);
  });

  it('takes two signals within a second for one request', async () => {
    end.stop('SIGINT');
    await clock.advance(900);
    end.stop('SIGTERM');
    await clock.settle();
    assert.deepEqual([exits, stops], [[], 1]);
  });

  it('is forced by a later signal', async () => {
    end.stop('SIGINT');
    await clock.advance(1000);
    end.stop('SIGINT');
    end.stop('SIGINT');
    await clock.settle();
    assert.deepEqual([exits, lines], [[3], ['info Stopping', 'error Ended by force']]);
  });
});

describe('the end of the process that an operator asks for', () => {
  it('drains first, and the first signal meanwhile is no second one', async () => {
    const clock = new FakeClock();
    const exits: number[] = [];
    const options: object[] = [];
    let forced: object | undefined;
    const end = new ProcessEnd(
      {
        service: {
          stop: (given) => {
            options.push(given);
            return new Promise(() => {});
          },
        },
        log: { ...silentLog, error: (_message, fields) => void (forced = fields) },
        progress: () => ({ moved: 3, remaining: 4 }),
        flush: () => Promise.resolve(),
        exit: (code) => exits.push(code),
        clock,
      },
      { limitMs: 60_000 },
    );
    end.drainRequested();
    await clock.advance(5000);
    end.stop('SIGTERM');
    end.drainRequested();
    await clock.advance(5000);
    assert.deepEqual([exits, options], [[], [{ drain: true }]]);
    end.stop('SIGTERM');
    await clock.settle();
    assert.deepEqual([exits, forced], [[3], { signal: 'SIGTERM', moved: 3, remaining: 4 }]);
  });
});

describe('a start that fails', () => {
  const problem = (fields: object) => startProblem(Object.assign(new Error('listen'), fields));

  it('is explained in one line that names the setting', () => {
    for (const [fields, expected] of [
      [{ code: 'EADDRINUSE', port: 8081 }, /^port 8081 .*set PORT/],
      [{ code: 'EACCES', port: 80 }, /^port 80 .*set PORT/],
      [{ code: 'EADDRNOTAVAIL', address: '192.0.2.1' }, /192\.0\.2\.1: set HOST/],
      [{ code: 'ENOTFOUND' }, /set HOST/],
    ] as const) {
      const text = problem(fields);
      assert.match(text, expected);
      assert.equal(text.split('\n').length, 1);
    }
  });

  it('has its stack if nobody foresaw it', () => {
    assert.match(problem({}), /\n +at /);
  });
});
