import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import type { Position } from '../../../shared/position.js';
import { SubscriptionRestore } from '../../../server/gateway/restore-subscriptions.js';
import type { Log } from '../../../server/logging/log.js';
import type { Connection } from '../../../server/protocol/connection.js';
import type { OpenedSession } from '../../../server/sessions/opened-session.js';
import type { SubscriptionRequest } from '../../../server/topics/subscription-gate.js';
import { until } from '../../support/wait.js';

interface Status {
  status: string;
  details: {
    topics: unknown[];
    recovered?: boolean;
    rejected?: { topic: string; error: { code: string } }[];
  };
}

describe('[GATE] the restoring of subscriptions', () => {
  let admitted: number;
  /** Refuses the next commands. */
  let refusals: RefusalError[];
  /** Outcomes of topics: an error, once. */
  let failing: Map<string, Error>;
  let attempts: string[][];
  let statuses: Status[];
  let awaited: Map<string, Position | undefined>;
  let logged: string[];
  let isLeaving: boolean;
  let restore: SubscriptionRestore;

  const connection = {
    id: 'c',
    sessionId: 's',
    identity: { userId: 'ann', roles: [], autoSubscribe: [] },
    emit: (_event: string, status: Status) => statuses.push(status),
  } as unknown as Connection;

  beforeEach(() => {
    admitted = 0;
    refusals = [];
    failing = new Map();
    attempts = [];
    statuses = [];
    awaited = new Map();
    logged = [];
    isLeaving = false;
    restore = new SubscriptionRestore({
      isConnected: () => true,
      gate: {
        heldBy: () => new Set(),
        whyNot: () => undefined,
        subscribe: (_connection: Connection, requests: readonly SubscriptionRequest[]) => {
          attempts.push(requests.map(({ topic }) => topic));
          return Promise.resolve(
            requests.map(({ topic }) => {
              const error = failing.get(topic);
              failing.delete(topic);
              if (error !== undefined) return { topic, error };
              awaited.delete(topic);
              return { topic, subscribed: { topic, epoch: 'e', sequence: 1, recovered: true, missed: 0 } };
            }),
          );
        },
      },
      sessions: {
        connected: (_connection, _createdAt, topics) => (awaited = new Map(topics)),
        resumed: () => false,
        await: (_connection, topic) => awaited.set(topic, undefined),
        awaited: (_connection, topic) => (awaited.has(topic) ? { since: awaited.get(topic) } : undefined),
        awaitedTopics: () => [...awaited.keys()],
        drop: (_connection, topic) => awaited.delete(topic),
      },
      permissions: { allows: () => true },
      admit: () => {
        const refusal = refusals.shift();
        if (refusal !== undefined) throw refusal;
        admitted++;
      },
      isLeaving: () => isLeaving,
      mode: () => 'normal',
      log: {
        debug: (text: string) => logged.push(`debug ${text}`),
        error: (text: string) => logged.push(`error ${text}`),
      } as unknown as Log,
    });
  });

  const sessionOf = (...topics: string[]): OpenedSession => ({
    id: 's',
    lease: { generation: 1, owner: 'c@a' },
    resumed: true,
    topics: new Map(topics.map((topic) => [topic, { epoch: 'e', sequence: 1 }])),
    positions: new Map(),
    createdAt: 0,
  });
  const manyTopics = Array.from({ length: 250 }, (_, n) => `t${n}`);

  it('takes one command for each hundred topics, and restores later what the rates refuse', async () => {
    await restore.run(connection, sessionOf(...manyTopics), Promise.resolve());
    assert.equal(admitted, 3);
    assert.deepEqual([statuses[0]!.details.topics.length, statuses[0]!.details.recovered], [250, true]);
    refusals = [new RefusalError('rate_limited', 'too many', { retryAfterMs: 5 })];
    await restore.run(connection, sessionOf(...manyTopics), Promise.resolve());
    assert.deepEqual([statuses[1]!.details.topics.length, statuses[1]!.details.recovered], [0, false]);
    await until(() => statuses.length === 3, 'the rest is restored');
    assert.deepEqual([statuses[2]!.status, statuses[2]!.details.topics.length], ['subscribed', 250]);
  });

  it('tells no loss where the replica is shutting down, and the next one restores the topics', async () => {
    isLeaving = true;
    await restore.run(connection, sessionOf('t1'), Promise.resolve());
    assert.deepEqual([statuses.length, statuses[0]!.details.recovered], [1, true]);
    refusals = [new RefusalError('unavailable', 'the replica is shutting down')];
    await restore.run(connection, sessionOf('t1'), Promise.resolve());
    assert.equal(statuses.length, 1);
  });

  it('tries all topics again together, and logs a bug as one', async () => {
    failing.set('t1', new Error('a bug'));
    failing.set('t2', new RefusalError('unavailable', 'the log is unreachable'));
    await restore.run(connection, sessionOf('t1', 't2', 't3'), Promise.resolve());
    assert.deepEqual(logged, ['error Subscriptions not restored yet']);
    await until(() => statuses.length === 2, 'the rest is restored');
    assert.deepEqual(attempts, [
      ['t1', 't2', 't3'],
      ['t1', 't2'],
    ]);
    assert.deepEqual(statuses[1]!.details.topics, ['t1', 't2']);
  });

  it('gives up what is refused for good, and names it', async () => {
    failing.set('t1', new RefusalError('forbidden', 'not this one'));
    await restore.run(connection, sessionOf('t1', 't2'), Promise.resolve());
    const { topics, rejected } = statuses[0]!.details;
    assert.equal(topics.length, 1);
    assert.deepEqual(
      rejected!.map(({ topic, error }) => [topic, error.code]),
      [['t1', 'forbidden']],
    );
    assert.equal(awaited.size, 0);
  });
});
