import assert from 'node:assert/strict';
import { runScenario } from '../../bench/chaos/run-scenario.js';
import { sentinelScenarios } from '../../bench/chaos/scenarios/sentinel.js';
import { describe as describeViolation } from '../../bench/chaos/checker/describe.js';
import { root } from '../support/root.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

describe('[P5] a failover by Sentinel', function () {
  this.timeout(240_000);

  it(`to a replica of Redis that lacks 50 acknowledged messages is told to every client, also when the former primary is back (SEED=${seed})`, async () => {
    const scenario = sentinelScenarios.find(({ name }) => name === 'sentinel-kill')!;
    const { events, violations } = await runScenario({ scenario, seed, apps: { current: root } });
    assert.deepEqual(
      violations.map((violation) => describeViolation(events, violation)),
      [],
    );
    const stored = new Set(events.flatMap((event) => (event.kind === 'stored' ? [event.id] : [])));
    const lost = events.filter(
      (event) => event.kind === 'published' && event.outcome === 'acknowledged' && !stored.has(event.id),
    );
    assert.ok(lost.length >= 50, `${lost.length} acknowledged messages were lost`);
    const isTold = (event: (typeof events)[number]) =>
      event.kind === 'gap' || ('recovered' in event && event.recovered === false);
    assert.ok(events.some(isTold), 'somebody was told');
  });
});
