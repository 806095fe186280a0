import assert from 'node:assert/strict';
import { silentLog } from '../../../server/logging/log.js';
import { RedisWrites, type WriteRefusal } from '../../../server/storage/redis/redis-writes.js';
import { RefusedCommands } from '../../../server/storage/redis/refused-commands.js';

describe('[HEALTH] writes that Redis refuses', () => {
  let now = 0;
  let writes: RedisWrites;
  let changes: (WriteRefusal | undefined)[];
  beforeEach(() => {
    now = 0;
    writes = new RedisWrites(() => now);
    changes = [];
    writes.onChange((refusal) => changes.push(refusal));
  });

  for (const [text, code] of [
    ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
    ['ERR Error running script: @user_script:1: -OOM command not allowed', 'OOM'],
    ['MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.', 'MISCONF'],
    ["READONLY You can't write against a read only replica. script: 1, on @user_script:2.", 'READONLY'],
    ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
    ['NOPERM this user has no permissions to run the command', 'NOPERM'],
    ["ERR The user executing the script can't run this command or subcommand script: 1", 'NOPERM'],
    ["ERR The user executing the script can't access at least one of the keys mentioned", 'NOPERM'],
  ] as const) {
    it(`are recognised by their error, with a remedy: ${text.slice(0, 40)}`, () => {
      writes.onError(text);
      assert.deepEqual(writes.state, { writes: 'refused', refused_by: code, refused_writes: 1 });
      assert.equal(changes[0]?.by, code);
      assert.ok(changes[0].remedy.length > 20);
    });
  }

  it('are no other errors', () => {
    writes.onError('WRONGTYPE Operation against a key holding the wrong kind of value');
    writes.onError('ERR the ROOM is full');
    // The settings of Redis are only read.
    writes.onError("NOPERM this user has no permissions to run the 'config|get' command");
    writes.onError("NOPERM User app has no permissions to run the 'config|get' command");
    assert.deepEqual(writes.state, { writes: 'accepted', refused_by: null, refused_writes: 0 });
  });

  it('are announced once for each state, and over only when none was refused for a while', () => {
    for (let n = 0; n < 5; n++) {
      writes.onError('OOM');
      now += 500;
      writes.accepted();
    }
    assert.deepEqual(
      changes.map((refusal) => refusal?.by),
      ['OOM'],
    );
    now += 2000;
    writes.accepted();
    writes.accepted();
    assert.deepEqual(
      changes.map((refusal) => refusal?.by),
      ['OOM', undefined],
    );
    assert.deepEqual(writes.state, { writes: 'accepted', refused_by: null, refused_writes: 5 });
  });

  it('are also those that the service refuses itself, to keep the rest of the memory for operators', () => {
    writes.measured(true);
    writes.measured(true);
    assert.equal(writes.state.refused_by, 'memory');
    writes.measured(false);
    assert.equal(writes.state.writes, 'accepted');
    assert.equal(changes.length, 2);
  });

  it('are logged once for each topic and kind, with a remedy where there is one', () => {
    const lines: object[] = [];
    const log = { ...silentLog, error: (_message: string, fields: object = {}) => void lines.push(fields) };
    const refused = new RefusedCommands(log, () => now);
    for (let n = 0; n < 3; n++) {
      refused.report(new Error('WRONGTYPE Operation'), { topic: 'a' });
      refused.report(new Error('WRONGTYPE Operation'), { topic: 'b' });
      refused.report(new Error('ERR other'), { topic: 'a' });
    }
    assert.deepEqual(
      lines.map((fields) => [(fields as { topic: string }).topic, 'remedy' in fields]),
      [
        ['a', true],
        ['b', true],
        ['a', false],
      ],
    );
    now += 3_600_000;
    refused.report(new Error('WRONGTYPE Operation'), { topic: 'a' });
    assert.equal(lines.length, 4);
  });
});
