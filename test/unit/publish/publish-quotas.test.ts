import assert from 'node:assert/strict';
import { newQuotaCounts } from '../../../server/limits/quota-counts.js';
import { UserQuotas } from '../../../server/limits/user-quotas.js';
import type { AppendReceipt } from '../../../server/log/broker.js';
import { silentLog } from '../../../server/logging/log.js';
import { PublishQuotas, type AdmittedPublish } from '../../../server/publish/publish-quotas.js';

const receipt = (sequence: number, duplicate = false): AppendReceipt => ({
  id: 'id',
  epoch: 'e',
  sequence,
  duplicate,
  durability: 'stored',
});

describe('[L8] what messages under way may store', () => {
  let users: UserQuotas;
  let quotas: PublishQuotas;
  const admit = (topic: string, { bytes = 0, isKnown = false } = {}): AdmittedPublish =>
    quotas.admit(
      { id: 'id', topic, payloadJson: 'x'.repeat(bytes), attachments: [], sender: 'eve' },
      isKnown,
    )!;
  const start = (limits: { storedBytes?: number; newTopics?: number }) => {
    users = new UserQuotas(
      { store: undefined, counts: newQuotaCounts(), log: silentLog, now: () => 0 },
      {
        connectionBytesPerSec: 0,
        userBytesPerSec: 0,
        storedBytes: 0,
        newTopics: 0,
        windowMs: 10_000,
        ...limits,
      },
    );
    quotas = new PublishQuotas({ memory: undefined, users });
  };
  const mayCreate = (admitted: AdmittedPublish) => admitted.noNewTopic === undefined;
  afterEach(() => users.close());

  it('is reserved in bytes when they are admitted, and given back by failures and duplicates', () => {
    start({ storedBytes: 1000 });
    const one = admit('a', { bytes: 499 });
    const two = admit('a', { bytes: 499 });
    assert.throws(() => admit('a'), { code: 'quota_exceeded' });
    one.settled(undefined);
    admit('a', { bytes: 499 }).settled(receipt(1, true));
    const three = admit('a', { bytes: 499 });
    two.settled(receipt(1));
    three.settled(receipt(2));
    assert.throws(() => admit('a'), { code: 'quota_exceeded' });
  });

  it('is reserved in new topics, one for all messages to the same topic', () => {
    start({ newTopics: 2 });
    const a = Array.from({ length: 5 }, () => admit('a'));
    const b = admit('b');
    assert.deepEqual([...a, b].map(mayCreate), [true, true, true, true, true, true]);
    const c = admit('c');
    assert.equal(mayCreate(c), false);
    assert.equal(c.noNewTopic!().code, 'quota_exceeded');
    c.settled(undefined);
    // Only the first message of a topic creates it; topic b exists already.
    a.forEach((message, n) => message.settled(receipt(n + 1)));
    b.settled(receipt(7));
    assert.equal(mayCreate(admit('d')), true);
    assert.equal(mayCreate(admit('e')), false);
  });

  it('is not reserved for topics in which messages were stored lately', () => {
    start({ newTopics: 1 });
    assert.equal(mayCreate(admit('known', { isKnown: true })), true);
    const fresh = admit('new');
    assert.equal(mayCreate(fresh), true);
    fresh.settled(receipt(1));
    assert.equal(mayCreate(admit('known', { isKnown: true })), false);
  });
});
