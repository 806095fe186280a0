import assert from 'node:assert/strict';
import { listActors, restartActor } from '../../../server/admin/actors/actor-operations.js';
import { ClusterOperations, operation } from '../../../server/admin/cluster-operations.js';
import { replicaMetrics } from '../../../server/admin/cluster/replica-metrics.js';
import {
  countUsers,
  disconnectConnections,
  listConnections,
  listUsers,
  unsubscribeConnection,
} from '../../../server/admin/connections/connection-operations.js';
import { notifyClients } from '../../../server/admin/notifications/notification-operations.js';
import { listTopics } from '../../../server/admin/topics/topic-operations.js';
import { listTraces, traceOfMessage } from '../../../server/admin/traces/trace-operations.js';
import { ReplicaCalls } from '../../../server/cluster/replica-calls.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';

describe('operations of the cluster', () => {
  const double = operation<{ readonly value: number }, number>('double');

  it('return the answers of the replicas that answer', async () => {
    const cluster = new ClusterOperations(new ReplicaCalls(new MemoryBus('one'), { timeoutMs: 1000 }));
    cluster.answer(double, ({ value }) => value * 2);
    assert.deepEqual(await cluster.ask(double, { value: 4 }), {
      answers: [{ replica: 'one', answer: 8 }],
      unresponsive: [],
      outdated: [],
    });
  });

  it('list a replica that does not support an operation as unresponsive, because it is outdated', async () => {
    const cluster = new ClusterOperations(new ReplicaCalls(new MemoryBus('one'), { timeoutMs: 1000 }));
    assert.deepEqual(await cluster.ask(double, { value: 4 }), {
      answers: [],
      unresponsive: ['one'],
      outdated: ['one'],
    });
  });

  it('keep their names on the bus, so that replicas of different versions can work together', () => {
    const names = [
      listConnections,
      disconnectConnections,
      unsubscribeConnection,
      countUsers,
      listUsers,
      listTopics,
      notifyClients,
      replicaMetrics,
      listActors,
      restartActor,
      traceOfMessage,
      listTraces,
    ].map(({ name }) => name);
    assert.deepEqual(names, [
      'connections',
      'disconnect',
      'unsubscribe',
      'users',
      'list_users',
      'topics',
      'notify',
      'metrics',
      'actors',
      'restart_actor',
      'trace',
      'traces',
    ]);
  });
});
