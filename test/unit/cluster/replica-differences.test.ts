import assert from 'node:assert/strict';
import { differencesOf, ReplicaDifferences } from '../../../server/cluster/replica-differences.js';
import { newReplicaId, replicaName } from '../../../server/cluster/replica-identity.js';
import type { Log } from '../../../server/logging/log.js';

const own = {
  id: 'a~00000000',
  name: 'a',
  version: '0.3.0',
  settings: { 'topics.history_size': '1000', 'new.setting': '1' },
};
const other = (name: string, more: object = {}) => ({
  id: newReplicaId(name),
  record: JSON.stringify({ v: 1, name, version: '0.3.0', settings: own.settings, ...more }),
});

describe('[CLUSTER] differences between replicas', () => {
  it('are none between replicas of one version with the same settings', () => {
    assert.deepEqual(differencesOf(own, [other('b'), other('c')]), []);
    assert.deepEqual(differencesOf(own, []), []);
  });

  it('name the setting, both values and the replicas', () => {
    const settings = { ...own.settings, 'topics.history_size': '50' };
    const others = [other('c', { settings }), other('b', { settings }), other('d')];
    assert.deepEqual(differencesOf(own, others), ['topics.history_size: 1000 here, 50 on b and c']);
  });

  it('name other versions, also those without a record, and leave out settings that one version does not have', () => {
    const newer = other('b', { version: '0.4.0', settings: { 'later.setting': '2' }, later: true });
    const differences = differencesOf(own, [newer, { id: 'old', record: null }]);
    assert.deepEqual(differences, ['version: 0.3.0 here, 0.1 on old, 0.4.0 on b']);
  });

  it('survive records that nobody can read', () => {
    assert.deepEqual(differencesOf(own, [{ id: 'x', record: '{' }]), ['version: 0.3.0 here, 0.1 on x']);
    assert.deepEqual(differencesOf(own, [{ id: 'x', record: '3' }]).length, 1);
  });

  it('are warned of once for each state', () => {
    const lines: string[] = [];
    const write = (message: string) => void lines.push(message);
    const log: Log = { debug: write, info: write, warn: write, error: write } as unknown as Log;
    const alerts: number[] = [];
    const alert = (found: readonly string[]) => void alerts.push(found.length);
    const differences = new ReplicaDifferences({ log, alert }, own);
    const odd = other('b', { version: '0.4.0' });
    differences.compare([]);
    differences.compare([odd]);
    differences.compare([odd, other('c')]);
    differences.compare([other('c')]);
    differences.compare([]);
    differences.compare([odd]);
    assert.deepEqual(lines, [
      'Replicas differ',
      'All replicas run with the same version and settings',
      'Replicas differ',
    ]);
    assert.deepEqual(alerts, [1, 0, 1]);
  });

  it('raise an alert on one replica of each version', () => {
    const all = ['a', 'b', 'c', 'd'].map((name, n) => ({
      ...own,
      id: `${name}~00000000`,
      name,
      version: n < 2 ? '0.3.0' : '0.4.0',
    }));
    const raised: string[] = [];
    for (const one of all) {
      const log: Log = { info: () => {}, warn: () => {} } as unknown as Log;
      const differences = new ReplicaDifferences({ log, alert: () => raised.push(one.name) }, one);
      const others = all.filter((other) => other !== one);
      differences.compare(others.map(({ id, ...record }) => ({ id, record: JSON.stringify(record) })));
    }
    assert.deepEqual(raised, ['a', 'c']);
  });
});

describe('[CLUSTER] the id of a replica', () => {
  it('is another one for each process, and shows the name', () => {
    const ids = [newReplicaId('web-1'), newReplicaId('web-1')];
    assert.notEqual(ids[0], ids[1]);
    assert.deepEqual(ids.map(replicaName), ['web-1', 'web-1']);
    assert.equal(replicaName('host-ab12cd'), 'host-ab12cd', 'version 0.1 has the name alone');
  });
});
