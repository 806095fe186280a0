import assert from 'node:assert/strict';
import { GoneTransports } from '../../../../server/gateway/polling/gone-transports.js';
import { Owners } from '../../../../server/gateway/polling/owners.js';
import { UnmarkedAnswers } from '../../../../server/gateway/polling/unmarked-answers.js';

describe('the replicas that hold transports', () => {
  it('are found by the tag in ids, with few looks at the list', async () => {
    let now = 1000;
    let looks = 0;
    let live = ['a~00000001', 'b~00000002', 'of-version-0.1'];
    const bus = { replicaId: 'a~00000001', replicas: async () => (looks++, live) };
    const owners = new Owners({ bus, now: () => now });
    assert.deepEqual(await Promise.all(['00000002', '00000003', '00000001'].map((tag) => owners.find(tag))), [
      'b~00000002',
      undefined,
      undefined,
    ]);
    assert.equal(looks, 1);
    live = ['b~00000002', 'c~00000003'];
    assert.equal(await owners.find('00000003'), undefined, 'the list is fresh');
    now += 500;
    assert.equal(await owners.find('00000003'), 'c~00000003');
    assert.equal(owners.known('00000003'), 'c~00000003');
    assert.equal(looks, 2);
    owners.forget('c~00000003');
    assert.equal(owners.known('00000003'), undefined);
  });

  it('are asked about the last ten thousand transports that have ended only once', () => {
    const gone = new GoneTransports();
    for (let n = 0; n < 10_001; n++) gone.add(String(n));
    assert.deepEqual([gone.has('0'), gone.has('1'), gone.has('10000')], [false, true, true]);
  });

  it('know whose last answer may be lost with another replica: that of the last ten seconds', () => {
    let now = 0;
    const answers = new UnmarkedAnswers({ now: () => now });
    answers.answered('old', 'edge');
    now = 5000;
    answers.answered('moved', 'edge');
    answers.answered('kept', 'edge');
    now = 10_001;
    answers.answered('moved', 'other');
    assert.deepEqual(answers.lost('edge'), ['kept']);
    assert.deepEqual(answers.lost('edge'), []);
    assert.deepEqual(answers.lost('other'), ['moved']);
  });
});
