import assert from 'node:assert/strict';
import { isPositionIn } from '../../../server/log/lineage.js';
import { LogEnds } from '../../../server/log/log-ends.js';
import { ScriptedLog } from '../../support/scripted-log.js';

describe('the ends of logs, read for many', () => {
  const always = () => true;
  let log: ScriptedLog;
  let ends: LogEnds;

  beforeEach(() => {
    log = new ScriptedLog();
    log.holdsCalls = true;
    ends = new LogEnds(log.broker);
  });

  it('are read once for all who come meanwhile, and again for those who come later', async () => {
    const reads = [1, 2, 3].map(() => ends.read('t', always));
    assert.equal(log.calls.length, 1);
    log.calls.shift()!.early();
    assert.deepEqual(new Set(await Promise.all(reads)).size, 1);
    const later = ends.read('t', always);
    assert.equal(log.calls.length, 1);
    log.calls.shift()!.early();
    await later;
  });

  it('are read again, once, for those who know more than the read under way', async () => {
    const first = ends.read('t', always);
    log.append(2);
    const position = { epoch: log.end.epoch, sequence: 2 };
    const ahead = [1, 2].map(() => ends.read('t', (end) => isPositionIn(end, position)));
    log.calls.shift()!.early();
    assert.equal((await first).sequence, 0);
    await new Promise(setImmediate);
    assert.equal(log.calls.length, 1);
    log.calls.shift()!.early();
    assert.deepEqual(
      (await Promise.all(ahead)).map(({ sequence }) => sequence),
      [2, 2],
    );
  });

  it('cannot be read by anybody who comes while the log is unreachable, but afterwards', async () => {
    const reads = [1, 2].map(() => assert.rejects(ends.read('t', always), /away/));
    log.calls.shift()!.fail(new Error('away'));
    await Promise.all(reads);
    const later = ends.read('t', always);
    log.calls.shift()!.early();
    assert.equal((await later).sequence, 0);
  });
});
