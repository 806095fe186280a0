import assert from 'node:assert/strict';
import { AuditLog } from '../../../server/admin/audit/audit-log.js';
import type { SharedStore } from '../../../server/cluster/shared-store.js';
import { silentLog } from '../../../server/logging/log.js';
import { MemorySharedStore } from '../../../server/storage/memory/memory-shared-store.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RedisSharedStore } from '../../../server/storage/redis/redis-shared-store.js';
import { TestRedis } from '../../support/redis.js';

const callerOf = (userId: string, ...roles: string[]) => ({
  identity: { userId, roles, autoSubscribe: [] },
  address: '192.0.2.1',
});
const olga = callerOf('olga', 'admin');
const change = (n: number) => ({ action: `POST /admin/${n}`, content: {}, result: 'ok', isAllowed: true });
const refused = (n: number) => ({
  action: `POST /admin/x${n}`,
  content: {},
  result: 'forbidden',
  isAllowed: false,
});

for (const storage of ['memory', 'redis'] as const) {
  describe(`[ADMIN] the audit log in ${storage}`, () => {
    let redis: TestRedis | undefined;
    let link: RedisLink | undefined;
    let store: SharedStore;
    let audit: AuditLog;
    before(async () => {
      if (storage === 'memory') return;
      redis = await TestRedis.start();
      link = new RedisLink(
        { log: silentLog },
        { url: redis.url, commandTimeoutMs: 2000, stallLimitMs: 5000 },
      );
      link.start();
      assert.ok(await link.whenUp(5000));
    });
    after(async () => {
      await link?.close();
      await redis?.stop();
    });
    let run = 0;
    beforeEach(() => {
      store =
        link === undefined
          ? new MemorySharedStore({ now: Date.now })
          : new RedisSharedStore(
              { link, log: silentLog },
              { keyPrefix: `rtc:test${run++}`, answerLimitMs: 2000 },
            );
      audit = new AuditLog({ store, log: silentLog, replicaId: 'a', now: Date.now }, { size: 50 });
    });
    afterEach(() => audit.close());

    it('keeps every record of a change, however many requests of others are refused', async () => {
      for (let n = 0; n < 5; n++) await audit.add(olga, change(n));
      for (let user = 0; user < 3000; user++) await audit.add(callerOf(`user-${user}`), refused(user));
      for (let n = 5; n < 10; n++) await audit.add(olga, change(n));
      await audit.close();
      const records = await audit.latest(1000);
      const changes = records.filter(({ user_id: user }) => user === 'olga');
      assert.deepEqual(
        changes.map(({ action }) => action),
        Array.from({ length: 10 }, (_, n) => `POST /admin/${9 - n}`),
      );
      assert.ok(records.length < 400, `${records.length} records`);
    });

    it('keeps every record of a change, however many wrong requests an operator sends', async () => {
      await audit.add(olga, change(0));
      await audit.add(olga, { ...change(1), result: 'timeout' });
      await audit.add(olga, { ...change(2), result: 'internal' });
      for (const result of ['invalid_message', 'not_found', 'conflict', 'rate_limited'])
        for (let n = 3; n < 103; n++) await audit.add(olga, { ...change(n), result });
      const records = await audit.latest(1000);
      assert.deepEqual(
        records.slice(-3).map(({ action, result }) => [action, result]),
        [
          ['POST /admin/2', 'internal'],
          ['POST /admin/1', 'timeout'],
          ['POST /admin/0', 'ok'],
        ],
      );
      assert.ok(records.length < 400, `${records.length} records`);
      assert.deepEqual([records[0]!.action, records[0]!.result], ['POST /admin/102', 'rate_limited']);
    });

    it('records each refused request of an operator, apart from changes', async () => {
      await audit.add(olga, change(0));
      for (let n = 0; n < 300; n++) await audit.add(callerOf('vera', 'viewer'), refused(n));
      const records = await audit.latest(1000);
      assert.equal(records.at(-1)!.action, 'POST /admin/0');
      assert.ok(records.every(({ count }) => count === 1));
      assert.equal(records[0]!.action, 'POST /admin/x299');
    });

    it('sums up refused requests of a caller: the first, then one record with the number of the others', async () => {
      for (let n = 0; n < 100; n++) await audit.add(callerOf('nobody', 'user'), refused(n));
      assert.deepEqual(
        (await audit.latest(10)).map(({ action, count }) => [action, count]),
        [['POST /admin/x0', 1]],
      );
      await audit.close();
      assert.deepEqual(
        (await audit.latest(10)).map(({ user_id: user, action, count, result }) => [
          user,
          action,
          count,
          result,
        ]),
        [
          ['nobody', 'POST /admin/x99', 99, 'forbidden'],
          ['nobody', 'POST /admin/x0', 1, 'forbidden'],
        ],
      );
    });

    it('returns changes and refusals together, newest first, each once in whatever pages', async () => {
      for (let n = 0; n < 8; n++) {
        await audit.add(olga, change(n));
        await audit.add(callerOf(`user-${n}`), refused(n));
      }
      const all = await audit.latest(100);
      assert.equal(all.length, 16);
      for (const size of [1, 3, 7]) {
        const paged = [];
        for (
          let page = await audit.latest(size);
          page.length > 0;
          page = await audit.latest(size, page.at(-1)!.id)
        )
          paged.push(...page);
        assert.deepEqual(paged, all);
      }
      const times = all.map(({ id }) => Number(id.split('-')[0]));
      assert.deepEqual(
        times,
        [...times].sort((one, other) => other - one),
      );
    });
  });
}
