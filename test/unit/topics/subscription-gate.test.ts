import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { SubscriptionGate } from '../../../server/topics/subscription-gate.js';

describe('SubscriptionGate', () => {
  it('reports refused topics, but no texts that are no names of topics: they may be as long as a request', async () => {
    const reported: string[] = [];
    const gate = new SubscriptionGate(
      {
        topics: {
          subscribe: () => Promise.reject(new Error('it is refused before')),
          unsubscribe: () => false,
          topicsOf: () => [],
        },
        permissions: {
          allows: () => false,
          check: () => {
            throw new RefusalError('forbidden', 'not allowed');
          },
        },
        sessions: {
          awaited: () => undefined,
          awaitedTopics: () => [],
          prepare: () => undefined,
          unprepare: () => {},
          subscribed: () => {},
          drop: () => false,
        },
        presence: { watch: () => {}, unwatch: () => {}, watchedBy: () => [] },
        checkMode: () => {},
        onSubscribe: () => undefined,
        onRefused: (_connection, topic, { code }) => reported.push(`${topic} ${code}`),
      },
      { maxTopicsPerConnection: 10 },
    );
    const requests = ['secret', 'x'.repeat(100_000), 'with space', ''].map((topic) => ({
      topic,
      field: 'topics',
    }));
    const outcomes = await gate.subscribe({ id: 'one', identity: { userId: 'ann' } } as Connection, requests);
    assert.deepEqual(
      outcomes.map((outcome) => 'error' in outcome && (outcome.error as RefusalError).code),
      ['forbidden', 'invalid_topic', 'invalid_topic', 'invalid_topic'],
    );
    assert.deepEqual(reported, ['secret forbidden']);
  });
});
