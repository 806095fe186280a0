import fc from 'fast-check';
import assert from 'node:assert/strict';
import { v7 as uuidV7 } from 'uuid';
import type { Position } from '../../../shared/position.js';
import type { Broker, LogEntry } from '../../../server/log/broker.js';
import { encodeEntry, messageIdOf, viewHeader } from '../../../server/log/entry.js';
import { readHistory, type HistoryRequest } from '../../../server/log/history.js';
import { readMissed } from '../../../server/log/missed.js';
import type { PageLimits } from '../../../server/log/page.js';
import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import { TestRedis } from '../../support/redis.js';
import { redisBrokers, retention } from '../../support/redis-brokers.js';

/** A message of some topic. */
interface Sent {
  readonly topic: number;
  readonly size: number;
  readonly parts: number;
  /** Milliseconds since the message before it. */
  readonly after: number;
}

const sent: fc.Arbitrary<Sent> = fc.record({
  topic: fc.nat(3),
  size: fc.oneof({ weight: 9, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.constant(3000) }),
  parts: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(10) }),
  after: fc.oneof(fc.nat(20), fc.constant(8000)),
});
const limits: fc.Arbitrary<PageLimits> = fc.record({
  limit: fc.integer({ min: 1, max: 20 }),
  bytes: fc.integer({ min: 1, max: 2000 }),
  binaryParts: fc.constantFrom(10, Infinity),
  asText: fc.boolean(),
});

let round = 0;
const nameOf = (topic: number) => `pages-${round}-${topic}`;

/** Appends messages one by one; returns their ids by topic, in log order. */
async function append(broker: Broker, messages: readonly Sent[]): Promise<Map<string, string[]>> {
  round++;
  const ids = new Map<string, string[]>();
  let msecs = 1_760_000_000_000;
  for (const [i, { topic, size, parts, after }] of messages.entries()) {
    const name = nameOf(topic);
    const id = uuidV7({ msecs: (msecs += after), seq: i });
    const attachments = Array.from({ length: parts }, () => Buffer.alloc(7));
    const payloadJson = JSON.stringify([
      'x'.repeat(size),
      attachments.map((_, num) => ({ _placeholder: true, num })),
    ]);
    const message = { id, topic: name, payloadJson, attachments, sender: null, timestamp: msecs };
    await broker.append(name, [{ id, entry: encodeEntry(message) }]);
    ids.set(name, [...(ids.get(name) ?? []), id]);
  }
  return ids;
}

function checkPage(entries: readonly LogEntry[], page: PageLimits): void {
  assert.ok(entries.length <= page.limit);
  if (entries.length < 2) return;
  assert.ok(entries.reduce((sum, { entry }) => sum + entry.length, 0) <= page.bytes);
  const parts = entries.reduce((sum, { entry }) => sum + (viewHeader(entry)?.attachments?.length ?? 0), 0);
  assert.ok(parts <= page.binaryParts);
}

async function readAll(broker: Broker, topic: string, first: HistoryRequest): Promise<string[]> {
  const found: string[] = [];
  for (let request: HistoryRequest | undefined = first; request !== undefined;) {
    const { entries, next, continuous }: Awaited<ReturnType<typeof readHistory>> = await readHistory(
      broker,
      topic,
      request,
    );
    assert.ok(continuous);
    checkPage(entries, first);
    const ids = entries.map(({ entry }) => messageIdOf(entry));
    if ('since' in request) found.push(...ids);
    else found.unshift(...ids);
    if (next !== undefined) assert.ok(ids.length > 0, 'a page with a next one holds a message');
    const { since: _since, before: _before, ...rest } = request;
    request = next === undefined ? undefined : { ...rest, ...next };
  }
  return found;
}

async function missedIn(broker: Broker, topics: readonly string[], since: string, page: PageLimits) {
  const found = new Map<string, string[]>(topics.map((topic) => [topic, []]));
  let positions: ReadonlyMap<string, Position> | undefined = new Map<string, Position>();
  while (positions !== undefined) {
    const answer: Awaited<ReturnType<typeof readMissed>> = await readMissed(broker, topics, {
      ...page,
      since,
      positions,
    });
    const { messages, next, complete } = answer;
    checkPage(
      messages.map(({ item }) => item),
      page,
    );
    for (const { topic, item } of messages) found.get(topic)!.push(messageIdOf(item.entry));
    if (next !== undefined) assert.ok(messages.length > 0 && !complete);
    positions = next;
  }
  return found;
}

function pageContract(
  name: string,
  open: () => Promise<{ broker: Broker; close: () => Promise<unknown> }>,
): void {
  describe(`[P7] answers in pages from ${name} (a failure prints its seed)`, function () {
    this.timeout(120_000);
    let opened: Awaited<ReturnType<typeof open>>;
    before(async () => {
      opened = await open();
    });
    after(() => opened.close());

    it('adds up to the whole log, forwards and backwards, whatever the size of the page', async () => {
      const property = fc.asyncProperty(fc.array(sent, { maxLength: 30 }), limits, async (messages, page) => {
        const { broker } = opened;
        for (const [topic, ids] of await append(broker, messages)) {
          const [end] = await broker.ends([topic]);
          const start = { epoch: end!.epoch, sequence: 0 };
          assert.deepEqual(await readAll(broker, topic, { ...page, since: start }), ids);
          assert.deepEqual(await readAll(broker, topic, page), ids);
        }
      });
      await fc.assert(property, { numRuns: 60 });
    });

    it('gives all missed messages of several topics once, each topic in its order', async () => {
      const property = fc.asyncProperty(
        fc.array(sent, { minLength: 1, maxLength: 30 }),
        limits,
        fc.nat(),
        async (messages, page, chosen) => {
          const { broker } = opened;
          const ids = await append(broker, messages);
          const topics = [...ids.keys()];
          const all = [...ids.values()].flat();
          const since = all[chosen % all.length]!;
          const found = await missedIn(broker, topics, since, { ...page, limit: 50 });
          for (const [topic, itsIds] of ids)
            assert.deepEqual(
              found.get(topic),
              itsIds.filter((id) => id > since),
            );
        },
      );
      await fc.assert(property, { numRuns: 60 });
    });
  });
}

pageContract('MemoryBroker', async () => {
  const broker = new MemoryBroker({ retentionOf: () => retention, now: Date.now });
  return { broker, close: () => broker.close() };
});

describe('with a Redis of its own', () => {
  let redis: TestRedis;
  before(async () => {
    redis = await TestRedis.start();
  });
  after(() => redis.stop());

  pageContract('RedisBroker', async () => {
    const fixture = await redisBrokers(redis);
    return { broker: (await fixture.open())!, close: fixture.close };
  });
});
