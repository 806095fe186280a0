import assert from 'node:assert/strict';
import { newQuotaCounts, type QuotaCounts } from '../../../server/limits/quota-counts.js';
import { StoreMemory } from '../../../server/limits/store-memory.js';
import { silentLog } from '../../../server/logging/log.js';

describe('[P7] the memory of a store with a limit', () => {
  const maxBytes = 100_000_000;
  let counts: QuotaCounts;
  let measurements: number;
  let lines: string[];
  let memory: StoreMemory;
  const measured = (usedBytes: number, policy = 'noeviction', max = maxBytes) => {
    memory.measuring();
    memory.measured({ usedBytes, maxBytes: max, policy });
  };
  /** A user publishes a message that is stored at once. */
  const publish = (userId: string, bytes: number) => memory.admit(userId, bytes)?.(true);

  beforeEach(() => {
    counts = newQuotaCounts();
    measurements = 0;
    lines = [];
    const note = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
    memory = new StoreMemory(
      {
        measure: () => measurements++,
        counts,
        log: { ...silentLog, info: note('info'), warn: note('warn'), error: note('error') },
      },
      { reservedPercent: 10, of: 'Redis', remedy: 'more' },
    );
    measured(1_000_000);
  });

  it('admits everything while there is enough, and measures again after enough was written', () => {
    for (let i = 0; i < 100; i++) publish('ann', 1_000_000 / 100);
    assert.equal(memory.level, 'ample');
    assert.ok(measurements > 0);
  });

  it('refuses the user who makes it grow when it is scarce, and no other', () => {
    measured(81_000_000);
    assert.equal(memory.level, 'scarce');
    assert.throws(() => publish('eve', 2_000_000), { code: 'quota_exceeded' });
    publish('eve', 900_000);
    measured(81_900_000);
    assert.throws(() => publish('eve', 300_000), { code: 'quota_exceeded' });
    publish('ann', 300_000);
    assert.equal(counts.memoryShare, 2);
  });

  it('does not charge a user whose messages replace older ones', () => {
    measured(81_000_000);
    for (let i = 0; i < 1000; i++) {
      publish('ann', 100_000);
      measured(81_000_000);
    }
    assert.equal(counts.memoryShare, 0);
  });

  it('charges a user no more than what was written, whatever else makes it grow', () => {
    measured(81_000_000);
    publish('ann', 250_000);
    // By another replica.
    measured(86_000_000);
    publish('ann', 100_000);
    assert.equal(counts.memoryShare, 0);
  });

  it('counts what is not stored yet, so that a burst cannot go past the line', () => {
    const settles: (((isStored: boolean) => void) | undefined)[] = [];
    measured(70_000_000);
    assert.throws(
      () => {
        for (let i = 0; i < 1000; i++) settles.push(memory.admit('eve', 100_000));
      },
      { code: 'quota_exceeded' },
    );
    assert.ok(settles.length < 120, `${settles.length}`);
    publish('ann', 100_000);
    for (const settle of settles) settle?.(false);
    publish('eve', 100_000);
  });

  it('refuses all publishes when only the reserve is left, and sessions when half of that is used', () => {
    measured(91_000_000);
    assert.equal(memory.level, 'reserved');
    assert.throws(() => publish('ann', 1), { code: 'unavailable' });
    assert.equal(memory.mayCreate, false);
    memory.checkSession();
    measured(96_000_000);
    assert.equal(memory.level, 'exhausted');
    assert.throws(() => memory.checkSession(), { code: 'unavailable' });
    measured(50_000_000);
    publish('ann', 1);
  });

  it('logs each level once, with steadiness at the lines', () => {
    for (const used of [79, 81, 79.5, 80.5, 91, 89.5, 90.5, 50]) measured(used * 1_000_000);
    assert.deepEqual(
      lines.map((line) => line.slice(0, 40)),
      [
        'warn The memory of Redis is scarce: each ',
        'error The memory of Redis is full: publi',
        'info The memory of Redis is no longer ful',
      ].map((line) => line.slice(0, 40)),
    );
  });

  it('refuses nothing without a limit, and where the store deletes data instead, of which it warns once', () => {
    measured(1e12, 'noeviction', 0);
    publish('ann', 1e9);
    measured(1e8, 'allkeys-lru');
    measured(1e8, 'allkeys-lru');
    publish('ann', 1e9);
    assert.deepEqual([memory.level, lines.length], ['ample', 1]);
    assert.match(lines[0]!, /^warn Redis deletes data .* allkeys-lru/);
  });
});
