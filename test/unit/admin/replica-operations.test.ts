import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { ClusterOperations } from '../../../server/admin/cluster-operations.js';
import { ReplicaOperations } from '../../../server/admin/replicas/replica-operations.js';

describe('a replica that is asked to drain', () => {
  it('is told once by requests that come together, and again if it did not do so', async () => {
    let told = 0;
    let isStopping = false;
    let drain: (() => { readonly isNew: boolean }) | undefined;
    const cluster = { answer: (_operation: unknown, run: typeof drain) => (drain = run) };
    new ReplicaOperations(
      { isStopping: () => isStopping, clients: () => 7, onDrainRequested: () => told++ },
      { limitSecs: 13 },
    ).serve(cluster as unknown as ClusterOperations);
    const isNew = () => drain!().isNew;
    assert.deepEqual([isNew(), isNew(), isNew()], [true, false, false]);
    assert.equal(told, 0, 'the answer leaves first');
    await turn();
    assert.equal(told, 1);
    assert.equal(isNew(), true);
    isStopping = true;
    await turn();
    assert.deepEqual([isNew(), told], [false, 2]);
  });
});
