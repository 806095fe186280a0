import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppendEntry, Batch, Broker, LogSlice, Retention } from '../../../server/log/broker.js';
import { RefusalError } from '../../../shared/errors.js';
import { until } from '../../support/wait.js';

/** A driver under test: brokers that share one log, and functions that damage it. */
export interface BrokerFixture {
  /** Opens another broker on the same log. Drivers of a single process return undefined. */
  open(): Promise<Broker | undefined>;
  /** Deletes all stored data. */
  flush?(): Promise<void>;
  retention: Retention;
  close(): Promise<void>;
}

let made = 0;

/** A message with this text. */
export function entry(text: string, key?: string, keyOwner?: string): AppendEntry {
  const id = `00000000-0000-7000-8000-${String(++made).padStart(12, '0')}`;
  return {
    id,
    entry: Buffer.from(`"id":"${id}","text":${JSON.stringify(text)}`),
    ...(key !== undefined && { key }),
    ...(keyOwner !== undefined && { keyOwner }),
  };
}

/** A message of this sender, as an inbox has it. */
export function from(sender: string, text: string, key?: string): AppendEntry {
  const made = entry(text, key, sender);
  const timed = `"sender":${JSON.stringify(sender)},"timestamp":1,"text":`;
  return { ...made, entry: Buffer.from(made.entry.toString().replace('"text":', timed)) };
}

const texts = (entries: readonly { entry: Buffer }[]) =>
  entries.map((item) => (JSON.parse(`{${item.entry.toString()}}`) as { text: string }).text);

/** Collects the batches that a broker receives. */
export function listen(broker: Broker): { batches: Batch[]; resyncs: number } {
  const received = { batches: [] as Batch[], resyncs: 0 };
  broker.setListener({
    onBatch: (batch) => received.batches.push(batch),
    onState: () => {},
    onResync: () => received.resyncs++,
  });
  return received;
}

/** The contract of `server/log/broker.ts`, the same for every driver. */
export function brokerContract(name: string, start: () => Promise<BrokerFixture>): void {
  describe(`[LOG] ${name}`, () => {
    let fixture: BrokerFixture;
    let broker: Broker;
    beforeEach(async () => {
      fixture = await start();
      broker = (await fixture.open())!;
    });
    afterEach(() => fixture.close());

    it('numbers appends from 1 without holes, and stores them in that order', async () => {
      const first = await broker.append('t', [entry('a'), entry('b')]);
      const second = await broker.append('t', [entry('c')]);
      assert.deepEqual(
        [...first, ...second].map((receipt) => receipt.sequence),
        [1, 2, 3],
      );
      assert.equal(new Set([...first, ...second].map((receipt) => receipt.epoch)).size, 1);
      const { end, entries } = await broker.read('t', 0, 10);
      assert.deepEqual(texts(entries), ['a', 'b', 'c']);
      assert.deepEqual(
        { sequence: end.sequence, firstSequence: end.firstSequence },
        { sequence: 3, firstSequence: 1 },
      );
      assert.equal(end.epoch, first[0]!.epoch);
    });

    it('keeps topics separate', async () => {
      await broker.append('t', [entry('a')]);
      const [receipt] = await broker.append('u', [entry('b')]);
      assert.equal(receipt!.sequence, 1);
      assert.deepEqual(texts((await broker.read('u', 0, 10)).entries), ['b']);
    });

    it('answers a repeated key with the first position and stores the message once, in one batch and in several', async () => {
      const [first, again] = await broker.append('t', [entry('a', 'k'), entry('a', 'k')]);
      assert.deepEqual([first!.duplicate, again!.duplicate], [false, true]);
      const [later, other] = await broker.append('t', [entry('a', 'k'), entry('b')]);
      assert.deepEqual([later!.sequence, later!.id, later!.duplicate], [1, first!.id, true]);
      assert.equal(other!.sequence, 2);
      assert.deepEqual(texts((await broker.read('t', 0, 10)).entries), ['a', 'b']);
    });

    it('keeps the equal keys of different senders apart, in one batch and in several', async () => {
      const senders = ['ann', 'bob', 'a b:c', '', '\ud800', '\ud801', '"', 'null'];
      const batch = senders.map((sender) => entry(`of ${sender}`, 'order-42', sender));
      const receipts = await broker.append('t', [...batch, entry('again', 'order-42', 'bob')]);
      assert.deepEqual(
        receipts.map(({ sequence, duplicate }) => [sequence, duplicate]),
        [...senders.map((_, i) => [i + 1, false]), [2, true]],
      );
      for (const [i, sender] of senders.entries()) {
        const [again] = await broker.append('t', [entry('again', 'order-42', sender)]);
        assert.deepEqual(
          [again!.id, again!.sequence, again!.epoch, again!.duplicate],
          [batch[i]!.id, i + 1, receipts[0]!.epoch, true],
        );
      }
      // A key that contains what separates sender and key is another key.
      const [other] = await broker.append('t', [entry('new', '42', 'ann:order-')]);
      assert.equal(other!.duplicate, false);
    });

    it('forgets the keys of each sender after the window, whatever the others do', async () => {
      fixture.retention = { ...fixture.retention, idempotencyMs: 300 };
      const of = async (sender: string) =>
        (await broker.append('t', [entry('a', 'k', sender)]))[0]!.duplicate;
      const startedAt = Date.now();
      assert.equal(await of('ann'), false);
      while (Date.now() < startedAt + 200) await sleep(10);
      const bobAt = Date.now();
      assert.equal(await of('bob'), false);
      while (Date.now() < startedAt + 310) await sleep(10);
      assert.equal(await of('ann'), false, 'the window of ann is over');
      // Only if the machine was fast enough for that to mean anything.
      const bobAgain = await of('bob');
      if (Date.now() < bobAt + 290) assert.equal(bobAgain, true, 'that of bob is not');
      const annAgain = Date.now();
      while (Date.now() < annAgain + 310) await sleep(10);
      assert.deepEqual([await of('ann'), await of('bob')], [false, false]);
    });

    it('delivers each batch to followers whole, in order, without duplicates', async () => {
      const received = listen(broker);
      await broker.follow('t');
      await broker.append('t', [entry('a', 'k'), entry('b')]);
      await broker.append('t', [entry('a', 'k'), entry('c')]);
      await broker.append('t', [entry('a', 'k')]);
      await broker.append('t', [entry('d')]);
      await until(() => received.batches.length >= 3, 'three batches arrive');
      assert.deepEqual(
        received.batches.map(({ firstSequence, entries }) => [
          firstSequence,
          texts(entries.map((one) => ({ entry: one }))),
        ]),
        [
          [1, ['a', 'b']],
          [3, ['c']],
          [4, ['d']],
        ],
      );
    });

    it('delivers nothing of a topic that is no longer followed', async () => {
      const received = listen(broker);
      await broker.follow('t');
      await broker.follow('u');
      await broker.unfollow('t');
      await broker.append('t', [entry('a')]);
      await broker.append('u', [entry('b')]);
      await until(() => received.batches.length > 0, 'a batch arrives', 2000);
      assert.deepEqual(
        received.batches.map(({ topic }) => topic),
        ['u'],
      );
    });

    it('delivers a topic that is followed again at once', async () => {
      const received = listen(broker);
      await broker.follow('t');
      const left = broker.unfollow('t');
      await broker.follow('t');
      await left;
      await broker.append('t', [entry('a')]);
      await until(() => received.batches.length > 0, 'a batch arrives', 2000);
    });

    it('keeps the newest messages of a batch that is larger than the history', async () => {
      fixture.retention = { ...fixture.retention, historySize: 2 };
      await broker.append('t', [entry('0')]);
      const receipts = await broker.append(
        't',
        ['a', 'b', 'c', 'd', 'e'].map((text) => entry(text)),
      );
      assert.deepEqual(
        receipts.map(({ sequence }) => sequence),
        [2, 3, 4, 5, 6],
      );
      const { end, entries } = await broker.read('t', 0, 10);
      assert.deepEqual([texts(entries), end.firstSequence, end.sequence], [['d', 'e'], 5, 6]);
    });

    it('keeps the newest messages of the history and returns its first sequence', async () => {
      fixture.retention = { ...fixture.retention, historySize: 3 };
      for (const text of ['a', 'b', 'c', 'd', 'e']) await broker.append('t', [entry(text)]);
      const { end, entries } = await broker.read('t', 0, 10);
      assert.deepEqual(texts(entries), ['c', 'd', 'e']);
      assert.deepEqual([end.firstSequence, end.sequence], [3, 5]);
    });

    it('refuses appends to a full log without a change, until there is room', async () => {
      fixture.retention = { ...fixture.retention, historySize: 10, fullAt: 3 };
      await broker.append('t', [entry('a'), entry('b')]);
      await broker.append('t', [entry('c'), entry('d')]);
      await assert.rejects(broker.append('t', [entry('e', 'k')]), { code: 'busy' });
      assert.deepEqual(texts((await broker.read('t', 0, 10)).entries), ['a', 'b', 'c', 'd']);
      await broker.remove('t', [1, 2]);
      const [receipt] = await broker.append('t', [entry('e', 'k')]);
      assert.deepEqual([receipt!.sequence, receipt!.duplicate], [5, false]);
    });

    describe('with shares for senders', () => {
      const shares = { bytes: 1_000_000, senderMessages: 2, senderBytes: 500_000 };
      const use = (changed: Partial<typeof shares> = {}) => {
        fixture.retention = {
          ...fixture.retention,
          historySize: 100,
          fullAt: 50,
          shares: { ...shares, ...changed },
        };
      };
      const append = async (...entries: AppendEntry[]) =>
        (await broker.append('t', entries)).map(({ refusal, duplicate, sequence }) =>
          refusal === undefined ? `${sequence}${duplicate ? ' again' : ''}` : refusal.code,
        );
      const stored = async () => texts((await broker.read('t', 0, 100)).entries);

      it('says what an inbox holds, after each append and at any time', async () => {
        use({ bytes: 2000 });
        const [first, second] = await broker.append('t', [from('ann', 'a'), from('bob', 'b')]);
        const bytes = first!.held!.bytes!;
        assert.ok(bytes > 20);
        assert.deepEqual([first!.held, second!.held], [{ messages: 2, bytes }, first!.held]);
        assert.deepEqual(await broker.sizes(['t', 'none']), [first!.held, { messages: 0, bytes: 0 }]);
        const [, refused] = await broker.append('t', [from('eve', 'e'), from('eve', 'x'.repeat(2000))]);
        assert.deepEqual([refused!.refusal?.code, refused!.held], ['quota_exceeded', undefined]);
        assert.equal((await broker.sizes(['t']))[0]!.messages, 3);
        await broker.remove('t', [1]);
        const [after] = await broker.append('t', [from('joe', 'j')]);
        assert.equal(after!.held!.messages, 3);
        assert.deepEqual(await broker.sizes(['t']), [after!.held]);
        await broker.purge('t');
        assert.deepEqual(await broker.sizes(['t']), [{ messages: 0, bytes: 0 }]);
        const { shares: _, ...plainRetention } = fixture.retention;
        fixture.retention = { ...plainRetention, fullAt: 0 };
        const [plain] = await broker.append('u', [entry('x')]);
        assert.equal(plain!.held, undefined);
      });

      it('counts what a full inbox refuses', async () => {
        let full = 0;
        use();
        fixture.retention = {
          ...fixture.retention,
          fullAt: 2,
          shares: { ...shares, onFull: (messages) => (full += messages) },
        };
        await append(from('ann', 'a', 'k'), from('bob', 'b'));
        await assert.rejects(broker.append('t', [from('joe', 'j'), from('joe', 'i')]), { code: 'busy' });
        assert.equal(full, 2);
        assert.deepEqual(await append(from('ann', 'a', 'k'), from('joe', 'j')), ['1 again', 'busy']);
        assert.equal(full, 3);
      });

      it('refuses a sender who has used up the share, alone and in a batch, and serves the others', async () => {
        use();
        const received = listen(broker);
        await broker.follow('t');
        assert.deepEqual(
          await append(
            from('eve', 'a'),
            from('eve', 'b'),
            from('ann', 'c'),
            from('eve', 'd'),
            from('a","timestamp":1', 'e'),
          ),
          ['1', '2', '3', 'quota_exceeded', '4'],
        );
        assert.deepEqual(await append(from('eve', 'f')), ['quota_exceeded']);
        assert.deepEqual(await append(from('ann', 'g')), ['5']);
        assert.deepEqual(await stored(), ['a', 'b', 'c', 'e', 'g']);
        await until(() => received.batches.length === 2, 'the stored ones arrive');
        assert.deepEqual(
          received.batches.map(({ firstSequence, entries }) => [firstSequence, entries.length]),
          [
            [1, 4],
            [5, 1],
          ],
        );
      });

      it('gives the room back when messages are removed or the log is emptied', async () => {
        use();
        await append(from('eve', 'a'), from('eve', 'b'));
        await broker.remove('t', [1, 1, 7]);
        assert.deepEqual(await append(from('eve', 'c'), from('eve', 'd')), ['3', 'quota_exceeded']);
        assert.equal(await broker.purge('t'), 2);
        assert.deepEqual(await append(from('eve', 'e'), from('eve', 'f'), from('eve', 'g')), [
          '4',
          '5',
          'quota_exceeded',
        ]);
      });

      it('limits the bytes of a sender and of the log', async () => {
        use({ senderMessages: 100, senderBytes: 1000, bytes: 1800 });
        const large = 'x'.repeat(600);
        assert.deepEqual(await append(from('eve', large)), ['1']);
        assert.deepEqual(await append(from('eve', large)), ['quota_exceeded']);
        assert.deepEqual(await append(from('ann', large)), ['2']);
        assert.deepEqual(await append(from('bob', large)), ['quota_exceeded']);
        assert.deepEqual(await append(from('bob', 'small')), ['3']);
      });

      it('answers a repeated key although the share is used up, and stores no key of a refused message', async () => {
        use();
        assert.deepEqual(await append(from('eve', 'a', 'k1'), from('eve', 'b'), from('eve', 'c', 'k2')), [
          '1',
          '2',
          'quota_exceeded',
        ]);
        assert.deepEqual(await append(from('eve', 'a', 'k1')), ['1 again']);
        await broker.remove('t', [1, 2]);
        assert.deepEqual(await append(from('eve', 'c', 'k2'), from('ann', 'd', 'k2')), ['3', '4']);
        assert.deepEqual(await append(from('eve', 'c', 'k2')), ['3 again']);
      });
    });

    it('leaves out messages that may not create their log, unless another one of the batch does', async () => {
      const refusal = new RefusalError('quota_exceeded', 'no more topics');
      const bound = (text: string) => ({ ...entry(text), noNewTopic: () => refusal });
      const outcomes = async (...entries: AppendEntry[]) =>
        (await broker.append('t', entries)).map((receipt) => receipt.refusal ?? receipt.sequence);
      assert.deepEqual(await outcomes(bound('a'), bound('b')), [refusal, refusal]);
      await broker.ends(['t']);
      assert.deepEqual(await outcomes(bound('c')), [refusal], 'a log that was only read is new too');
      assert.deepEqual(await outcomes(bound('d'), entry('e')), [1, 2]);
      assert.deepEqual(await outcomes(bound('f')), [3]);
    });

    it('orders, dedupes and publishes without a history', async () => {
      fixture.retention = { ...fixture.retention, historySize: 0 };
      const received = listen(broker);
      await broker.follow('t');
      const [first] = await broker.append('t', [entry('a', 'k')]);
      const [again] = await broker.append('t', [entry('a', 'k')]);
      const [second] = await broker.append('t', [entry('b')]);
      assert.deepEqual([first!.sequence, again!.sequence, second!.sequence], [1, 1, 2]);
      await until(() => received.batches.length === 2, 'both arrive');
      const { end, entries } = await broker.read('t', 0, 10);
      assert.deepEqual([entries.length, end.sequence, end.firstSequence], [0, 2, 3]);
    });

    it('reads after a position up to a limit, and reads the newest messages', async () => {
      await broker.append(
        't',
        ['a', 'b', 'c', 'd', 'e'].map((text) => entry(text)),
      );
      assert.deepEqual(texts((await broker.read('t', 2, 2)).entries), ['c', 'd']);
      assert.deepEqual(texts((await broker.readLast('t', 2)).entries), ['d', 'e']);
      assert.deepEqual((await broker.read('t', 5, 2)).entries, []);
    });

    it('reads no more bytes than the limit, but always one message, in both directions', async () => {
      const sizes = [10, 20, 500, 30, 40];
      await broker.append(
        't',
        sizes.map((size, i) => ({ id: `id${i}`, entry: Buffer.alloc(size, String(i)) })),
      );
      const lengths = ({ entries, truncated }: LogSlice) => [
        entries.map((item) => item.entry.length),
        truncated,
      ];
      assert.deepEqual(lengths(await broker.read('t', 0, 10, 30)), [[10, 20], true]);
      assert.deepEqual(lengths(await broker.read('t', 0, 2, 30)), [[10, 20], false]);
      assert.deepEqual(lengths(await broker.read('t', 2, 10, 30)), [[500], true]);
      assert.deepEqual(lengths(await broker.read('t', 3, 10, 70)), [[30, 40], false]);
      assert.deepEqual(lengths(await broker.readLast('t', 10, 70)), [[30, 40], true]);
      assert.deepEqual(lengths(await broker.readLast('t', 10, 69)), [[40], true]);
      assert.deepEqual(lengths(await broker.readLast('t', 10, 70, 4)), [[500], true]);
      assert.deepEqual(lengths(await broker.readLast('t', 10, 70, 3)), [[10, 20], false]);
      assert.deepEqual(lengths(await broker.readLast('t', 1, 70, 3)), [[20], false]);
      assert.deepEqual(lengths(await broker.readLast('t', 10, 70, 1)), [[], false]);
      assert.deepEqual(lengths(await broker.readLast('t', 10, 1000, 99)), [sizes, false]);
    });

    it('reads nothing after a position far beyond its end, up to the largest one', async () => {
      await broker.append('t', [entry('a')]);
      for (const after of [1e13, 1e14, 1e15, Number.MAX_SAFE_INTEGER]) {
        const { end, entries } = await broker.read('t', after, 10);
        assert.deepEqual([end.sequence, entries], [1, []]);
      }
    });

    it('gives a log that does not exist an epoch, and keeps it', async () => {
      const [end] = await broker.ends(['t']);
      assert.deepEqual([end!.sequence, end!.firstSequence, end!.previous], [0, 1, []]);
      const [receipt] = await broker.append('t', [entry('a')]);
      assert.deepEqual([receipt!.epoch, receipt!.sequence], [end!.epoch, 1]);
    });

    it('returns the ends of many logs at once', async () => {
      await broker.append('t', [entry('a'), entry('b')]);
      await broker.append('u', [entry('c')]);
      assert.deepEqual(
        (await broker.ends(['t', 'u', 'v'])).map(({ sequence }) => sequence),
        [2, 1, 0],
      );
    });

    it('removes single messages and leaves the others in place', async () => {
      await broker.append(
        't',
        ['a', 'b', 'c'].map((text) => entry(text)),
      );
      assert.equal(await broker.remove('t', [2]), 1);
      const { end, entries } = await broker.read('t', 0, 10);
      assert.deepEqual([texts(entries), end.sequence], [['a', 'c'], 3]);
    });

    it('empties a log and continues its sequence', async () => {
      const [before] = await broker.append(
        't',
        ['a', 'b'].map((text) => entry(text)),
      );
      assert.equal(await broker.purge('t'), 2);
      const [after] = await broker.append('t', [entry('c')]);
      assert.deepEqual([after!.epoch, after!.sequence], [before!.epoch, 3]);
      assert.equal((await broker.read('t', 0, 10)).end.firstSequence, 3);
    });

    it('[P5] continues under a new epoch when the history has expired, and deletes keys when their time is over', async () => {
      fixture.retention = { historySize: 10, historyTtlMs: 50, idempotencyMs: 50, fullAt: 0 };
      const [before] = await broker.append('t', [entry('a', 'k')]);
      await until(
        async () => (await broker.read('t', 0, 10)).entries.length === 0,
        'the history has expired',
      );
      const [end] = await broker.ends(['t']);
      assert.notEqual(end!.epoch, before!.epoch);
      assert.deepEqual(
        end!.previous,
        [{ epoch: before!.epoch, sequence: 1 }],
        'a position at the end of the old epoch has missed nothing',
      );
      const [again] = await broker.append('t', [entry('a', 'k')]);
      assert.equal(again!.duplicate, false, 'the key expires after its window');
      assert.deepEqual([again!.epoch, again!.sequence], [end!.epoch, 2]);
    });

    it('keeps one order for appends of several brokers, and delivers all of them to each', async () => {
      const other = await fixture.open();
      if (other === undefined) return;
      const received = [listen(broker), listen(other)];
      await Promise.all([broker.follow('t'), other.follow('t')]);
      const appends = [];
      for (let i = 0; i < 50; i++)
        appends.push(broker.append('t', [entry(`a${i}`)]), other.append('t', [entry(`b${i}`)]));
      const receipts = (await Promise.all(appends)).flat();
      assert.deepEqual(
        receipts.map(({ sequence }) => sequence).sort((a, b) => a - b),
        Array.from({ length: 100 }, (_, n) => n + 1),
      );
      for (const { batches } of received) {
        await until(() => batches.length === 100, 'all batches arrive');
        assert.deepEqual(
          batches.map(({ firstSequence }) => firstSequence),
          Array.from({ length: 100 }, (_, n) => n + 1),
        );
      }
    });

    it('begins a new epoch at 1 after all stored data is lost', async () => {
      if (fixture.flush === undefined) return;
      const [before] = await broker.append('t', [entry('a')]);
      await fixture.flush();
      const [after] = await broker.append('t', [entry('b')]);
      assert.notEqual(after!.epoch, before!.epoch);
      assert.equal(after!.sequence, 1);
      assert.deepEqual((await broker.ends(['t']))[0]!.previous, []);
    });
  });
}
