import assert from 'node:assert/strict';
import { judge, type Look } from '../../../../server/admin/overview/verdict.js';
import type { ReplicaOverview } from '../../../../server/admin/overview/overview-operations.js';

interface Shape {
  readonly name?: string;
  readonly connections?: number;
  readonly limit?: number;
  readonly problems?: readonly string[];
  readonly lagMs?: number;
  readonly p99Ms?: number;
  readonly heapUsed?: number;
  readonly redis?: 'up' | 'down';
}

/** A replica, as far as the verdict reads it. */
function replica({
  name = 'a',
  connections = 4820,
  limit = 0,
  problems = [],
  lagMs = 3,
  p99Ms = 18,
  heapUsed = 10,
  redis = 'up',
}: Shape = {}) {
  return {
    metrics: {
      replica_id: name,
      active_connections: connections,
      latency_ms: { delivery: { p99: p99Ms } },
      event_loop_lag_ms: { recent_p99: lagMs },
      memory: { heap_used_bytes: heapUsed },
      redis: { state: redis },
    },
    problems,
    connections_limit: limit,
    heap_limit_bytes: 100,
  } as unknown as ReplicaOverview;
}

function look(part: Partial<Look> = {}): Look {
  return {
    replicas: [replica(), replica({ name: 'b' })],
    silent: [],
    departed: [],
    openAlerts: [],
    stoppedActors: [],
    ...part,
  };
}

const verdictOf = (part: Partial<Look>) => judge(look(part), () => 7);
const alert = { id: '1', at: 5, severity: 'critical', message: '', replica_id: 'a' } as const;

describe('[CONSOLE] the verdict', () => {
  it('is one sentence with the numbers when nothing is wrong', () => {
    assert.deepEqual(
      judge(look(), () => 7),
      {
        state: 'ok',
        sentence: 'All well: 9,640 connections on 2 replicas, p99 18 ms.',
        findings: [],
      },
    );
  });

  it('names a replica that does not answer, before anything less', () => {
    const { state, sentence, findings } = verdictOf({ silent: ['c'], departed: [{ replica: 'd', at: 3 }] });
    assert.equal(state, 'critical');
    assert.equal(sentence, '1 replica does not answer: c. And 1 more finding.');
    assert.deepEqual(
      findings.map(({ code, since }) => [code, since]),
      [
        ['replica_silent', 7],
        ['replica_lost', 3],
      ],
    );
  });

  it('blames Redis, not the replicas that cannot be asked without it', () => {
    const problems = [
      'Redis does not answer: publishes and first subscriptions are refused with unavailable',
    ];
    const { state, sentence, findings } = verdictOf({
      replicas: [replica({ redis: 'down', problems })],
      silent: ['b', 'c'],
    });
    assert.equal(state, 'critical');
    assert.match(sentence, /^Redis does not answer: .* And 1 more finding\.$/);
    assert.equal(findings[1]!.sentence, '2 replicas cannot be asked without Redis: b, c.');
    assert.equal(findings[1]!.state, 'warning');
  });

  it('names each problem of /health once, with the replicas that have it, and the remedy of its alert', () => {
    const problems = ['Redis is not reached: publishes and first subscriptions are refused with unavailable'];
    const { state, findings } = verdictOf({
      replicas: [replica({ problems }), replica({ name: 'b', problems })],
      openAlerts: [{ ...alert, kind: 'redis_down', details: { remedy: 'Start Redis.' } }],
    });
    assert.equal(state, 'critical');
    assert.equal(findings.length, 1);
    const [{ where, since, next } = findings[0]!] = findings;
    assert.deepEqual({ where, since, next }, { where: ['a', 'b'], since: 5, next: 'Start Redis.' });
  });

  it('says which actor has stopped', () => {
    const { sentence, findings } = verdictOf({
      stoppedActors: [{ actor_id: 'topic:orders', replica_id: 'b' }],
      openAlerts: [{ ...alert, kind: 'actor_stopped', details: { actor_id: 'topic:orders' } }],
    });
    assert.match(sentence, /^The actor topic:orders has stopped/);
    assert.deepEqual([findings[0]!.where, findings[0]!.since], [['b'], 5]);
  });

  for (const [what, shape, code] of [
    ['an event loop that is late', { lagMs: 340 }, 'event_loop'],
    ['connections near their limit', { connections: 95, limit: 100 }, 'connections_limit'],
    ['a heap that is nearly full', { heapUsed: 95 }, 'memory'],
    ['messages that arrive late', { p99Ms: 1500 }, 'slow_delivery'],
  ] as const)
    it(`warns of ${what}`, () => {
      const { state, findings } = verdictOf({ replicas: [replica(shape)] });
      assert.equal(state, 'warning');
      assert.deepEqual(
        findings.map((finding) => finding.code),
        [code],
      );
    });
});
