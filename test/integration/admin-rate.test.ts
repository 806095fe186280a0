import assert from 'node:assert/strict';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

describe('[ADMIN] the rate of requests to /admin', () => {
  let running: EmbeddedService;
  beforeEach(async () => {
    running = await startEmbedded({
      RTC_LIMITS_ADMIN_REQUESTS: '50',
      RTC_LIMITS_HTTP_WINDOW_SECS: '600',
      LOG_LEVEL: 'off',
    });
  });
  afterEach(() => running.service.close());

  const ask = async (token: string | undefined, path = '/cluster', method = 'GET') => {
    const response = await fetch(`${running.url}/admin${path}`, {
      method,
      ...(token !== undefined && { headers: { Authorization: `Bearer ${token}` } }),
    });
    await response.text();
    return response;
  };
  const statuses = async (count: number, ...args: Parameters<typeof ask>) => {
    const counts: Record<number, number> = {};
    for (let n = 0; n < count; n++) {
      const { status } = await ask(...args);
      counts[status] = (counts[status] ?? 0) + 1;
    }
    return counts;
  };
  const operator = tokenOf('olga', { roles: ['operator'] });

  it('is limited by address without a valid token, and an operator at that address still gets in', async () => {
    assert.deepEqual(await statuses(20, 'not a token'), { 401: 5, 429: 15 });
    assert.deepEqual(await statuses(3, undefined), { 429: 3 });
    assert.equal((await ask(operator)).status, 200);
    const refused = await ask(undefined);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
  });

  it('is limited by user, to a tenth for those without the role of an operator', async () => {
    assert.deepEqual(await statuses(20, tokenOf('nobody'), '/nowhere', 'POST'), { 404: 5, 429: 15 });
    assert.deepEqual(await statuses(60, operator), { 200: 50, 429: 10 });
    assert.equal((await ask(tokenOf('otto', { roles: ['operator'] }))).status, 200);
    const { rate_limit_stats: stats } = running.service.metrics.document();
    assert.equal(stats.http, 25);
  });

  it('keeps refused requests beyond it out of the audit log', async () => {
    await statuses(20, tokenOf('nobody'), '/nowhere', 'POST');
    const response = await fetch(`${running.url}/admin/audit`, {
      headers: { Authorization: `Bearer ${operator}` },
    });
    const { records } = (await response.json()) as { records: { user_id: string; count: number }[] };
    assert.deepEqual(
      records.map(({ user_id: user, count }) => [user, count]),
      [['nobody', 1]],
    );
  });

  it('lets an operator in after its window, also if the wall clock is set back by hours meanwhile', async () => {
    await running.service.close();
    running = await startEmbedded({
      RTC_LIMITS_ADMIN_REQUESTS: '5',
      RTC_LIMITS_HTTP_WINDOW_SECS: '1',
      LOG_LEVEL: 'off',
    });
    const { now } = Date;
    try {
      assert.equal((await ask(operator)).status, 200);
      const token = tokenOf('olga', { roles: ['operator'], iat: Math.floor(now() / 1000) - 4 * 3600 });
      Date.now = () => now() - 3 * 3_600_000;
      assert.ok(429 in (await statuses(10, token)));
      await until(async () => (await ask(token)).status === 200, 'the window has ended', 3000);
    } finally {
      Date.now = now;
    }
  });
});
