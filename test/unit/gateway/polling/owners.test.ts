import assert from 'node:assert/strict';
import { GoneTransports } from '../../../../server/gateway/polling/gone-transports.js';
import { Owners } from '../../../../server/gateway/polling/owners.js';
import { UnmarkedAnswers } from '../../../../server/gateway/polling/unmarked-answers.js';
import { FakeClock } from '../../../support/fake-clock.js';

describe('the replicas that hold transports', () => {
  it('are found by the tag in ids, with few looks at the list', async () => {
    const clock = new FakeClock();
    let looks = 0;
    let live = ['a~00000001', 'b~00000002', 'of-version-0.1'];
    const bus = { replicaId: 'a~00000001', liveReplicas: async () => (looks++, live) };
    const owners = new Owners({ bus, clock });
    assert.deepEqual(await Promise.all(['00000002', '00000003', '00000001'].map((tag) => owners.find(tag))), [
      'b~00000002',
      undefined,
      undefined,
    ]);
    assert.equal(looks, 1);
    live = ['b~00000002', 'c~00000003'];
    await clock.advance(1);
    // One has started since the list was read.
    const found = [owners.find('00000003'), owners.find('00000004')];
    await clock.advance(498);
    assert.equal(looks, 1, 'the list is fresh');
    await clock.advance(1);
    assert.deepEqual(await Promise.all(found), ['c~00000003', undefined]);
    assert.equal(owners.known('00000003'), 'c~00000003');
    assert.equal(looks, 2);
    owners.forget('c~00000003');
    assert.equal(owners.known('00000003'), undefined);
  });

  it('are looked for again when one may have started while the list was on its way', async () => {
    const clock = new FakeClock();
    const lists: ((live: string[]) => void)[] = [];
    const bus = {
      replicaId: 'a~00000001',
      liveReplicas: () => new Promise<string[]>((resolve) => lists.push(resolve)),
    };
    const owners = new Owners({ bus, clock });
    const first = owners.find('00000002');
    await clock.advance(1);
    const second = owners.find('00000002');
    lists[0]!([]);
    assert.equal(await first, undefined);
    await clock.advance(500);
    lists[1]!(['b~00000002']);
    assert.equal(await second, 'b~00000002');
  });

  it('are looked for again while Redis does not say which are live, and are then unknown, not gone', async () => {
    const clock = new FakeClock();
    let looks = 0;
    const known: string[][] = [];
    const bus = { replicaId: 'a~00000001', liveReplicas: async () => (looks++, known[0]) };
    const owners = new Owners({ bus, clock });
    const unknown = assert.rejects(owners.find('00000002'), /not known/);
    await clock.advance(1500);
    await unknown;
    assert.equal(looks, 4);
    const found = owners.find('00000002');
    await clock.advance(500);
    assert.equal(looks, 5);
    known.push(['b~00000002']);
    await clock.advance(500);
    assert.equal(await found, 'b~00000002');
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
