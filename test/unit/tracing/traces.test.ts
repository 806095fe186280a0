import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RefusalError } from '../../../shared/errors.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { MemorySharedStore } from '../../../server/storage/memory/memory-shared-store.js';
import { ReplicatedMap } from '../../../server/cluster/replicated-map.js';
import { silentLog } from '../../../server/logging/log.js';
import { MessageTracer } from '../../../server/tracing/message-tracer.js';
import { inOrder, traceStages, type TraceEvent } from '../../../server/tracing/trace-event.js';
import { TraceRing } from '../../../server/tracing/trace-ring.js';
import { TraceRules, traceRulesLimit } from '../../../server/tracing/trace-rules.js';

const event = (id: number | string, at = 0): TraceEvent => ({
  message_id: String(id),
  stage: 'Received',
  at,
  replica_id: 'a',
  details: {},
});
const caller = { id: 'c1', wire: 'json', identity: { userId: 'ann' } };
const seed = Date.now() % 1_000_000;

describe(`[TRACE] the ring (seed ${seed})`, () => {
  it('holds the latest events, like its model', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 0, max: 9 })), (size, ids) => {
        const ring = new TraceRing(size);
        ids.forEach((id, at) => ring.add(event(id, at)));
        const model = ids.map((id, at) => event(id, at)).slice(-size);
        assert.deepEqual([...ring.newestFirst()], [...model].reverse());
        for (const id of new Set(ids))
          assert.deepEqual(
            ring.of(String(id)),
            model.filter(({ message_id }) => message_id === String(id)),
          );
      }),
      { seed },
    );
  });

  it('orders events of several replicas by time, then by stage', () => {
    const at = (stage: TraceEvent['stage'], ms: number) => ({ ...event('m', ms), stage });
    const mixed = [
      at('Delivered', 5),
      at('Queued', 5),
      at('Received', 4),
      at('Routed', 5),
      at('Validated', 4),
    ];
    assert.deepEqual(
      inOrder(mixed).map(({ stage }) => stage),
      traceStages.slice(0, 5),
    );
  });
});

describe('[TRACE] MessageTracer', () => {
  let monotonicNow: number;
  const wanted = new Set<string>();
  const rules = {
    get size() {
      return wanted.size;
    },
    has: (kind: string, name: string) => wanted.has(`${kind}:${name}`),
  };
  const make = (samplePerSec: number, forcedPerSec = 1000, userForcedPerSec = 1000) =>
    new MessageTracer(
      { rules, replicaId: 'a', now: () => 1, monotonicNow: () => monotonicNow },
      { samplePerSec, forcedPerSec, userForcedPerSec, ringSize: 100 },
    );
  const chosen = (tracer: MessageTracer, n: number, asked = false) =>
    Array.from({ length: n }, (_, i) => tracer.begin(caller, 'publish', `m${i}`, 'news', asked)).filter(
      Boolean,
    ).length;

  beforeEach(() => {
    monotonicNow = 1000;
    wanted.clear();
  });

  it('samples at a rate, in addition to requested traces', () => {
    const tracer = make(3);
    assert.equal(chosen(tracer, 100), 3);
    assert.equal(chosen(tracer, 10, true), 10);
    monotonicNow += 1000;
    assert.equal(chosen(tracer, 100), 3);
    assert.deepEqual(tracer.counts, { sampled: 6, forced: 10, skipped: 0 });
  });

  it('traces nothing without a request if the rate is 0', () => {
    assert.equal(chosen(make(0), 100), 0);
  });

  it('grants requests up to their own rate, and counts the others', () => {
    const tracer = make(0, 2);
    assert.equal(chosen(tracer, 10, true), 2);
    assert.deepEqual(tracer.counts, { sampled: 0, forced: 2, skipped: 8 });
  });

  it('grants each sender a rate of its own, so that none can push out the traces of others', () => {
    const tracer = make(0, 1000, 3);
    assert.equal(chosen(tracer, 100, true), 3);
    assert.ok(tracer.begin({ ...caller, identity: { userId: 'bob' } }, 'publish', 'm', 'news', true));
    // What an operator asks for is not counted.
    wanted.add('topic:news');
    assert.equal(chosen(tracer, 20, true), 20);
    assert.deepEqual(tracer.counts, { sampled: 0, forced: 24, skipped: 97 });
  });

  it('applies the rules by topic and sender, and for direct messages by recipient', () => {
    const tracer = make(0);
    wanted.add('topic:news').add('user:bob');
    assert.ok(tracer.begin(caller, 'publish', 'm', 'news', false));
    assert.equal(
      tracer.begin(caller, 'publish', 'm', 'bob', false),
      undefined,
      'a topic rule does not match a user',
    );
    assert.ok(tracer.begin(caller, 'direct', 'm', 'bob', false));
    assert.equal(
      tracer.begin(caller, 'direct', 'm', 'news', false),
      undefined,
      'a user rule does not match a topic',
    );
    assert.ok(tracer.begin({ ...caller, identity: { userId: 'bob' } }, 'publish', 'm', 'other', false));
  });

  it('records bugs without their text', () => {
    const tracer = make(0);
    tracer.begin(caller, 'publish', 'm1', 'news', true)!.failed(new Error('secret inside'));
    tracer.begin(caller, 'publish', 'm2', 'news', true)!.failed(new RefusalError('busy', 'full'));
    assert.doesNotMatch(JSON.stringify(tracer.ring.of('m1')), /secret/);
    assert.deepEqual(tracer.ring.of('m2').at(-1)!.details, { code: 'busy', reason: 'full' });
  });

  it('keeps other events when many clients catch up', () => {
    const tracer = make(0);
    tracer.queued('m', {});
    for (let n = 0; n < 1000; n++) tracer.caughtUp('m', { connection_id: n });
    const events = [...tracer.ring.newestFirst()];
    assert.equal(events.length, 100);
    monotonicNow += 10;
    tracer.caughtUp('m', {});
    assert.equal(tracer.ring.of('m').length, 100);
  });

  it('truncates topics from clients', () => {
    const tracer = make(0);
    tracer.begin(caller, 'publish', 'm', 'x'.repeat(10_000), true);
    assert.equal((tracer.ring.of('m')[0]!.details['topic'] as string).length, 200);
  });
});

describe('[TRACE] TraceRules', () => {
  let now: number;
  let map: ReplicatedMap;
  let rules: TraceRules;
  beforeEach(() => {
    now = 1_000_000;
    map = new ReplicatedMap(
      {
        store: new MemorySharedStore({ now: () => now }),
        bus: new MemoryBus('a'),
        log: silentLog,
      },
      { name: 'control', checkMs: 1000 },
    );
    rules = new TraceRules({ map, now: () => now });
  });
  afterEach(() => {
    rules.close();
    map.close();
  });
  const add = (name: string, secs = 10) =>
    rules.add({ kind: 'topic', name, until: now + secs * 1000, by: 'olga', at: now });

  it('apply until their end time', async () => {
    await add('news');
    assert.deepEqual([rules.has('topic', 'news'), rules.has('user', 'news')], [true, false]);
    now += 10_000;
    assert.deepEqual([rules.has('topic', 'news'), rules.list()], [false, []]);
  });

  it('are read by a replica that starts later', async () => {
    await add('news:with:colons');
    const other = new TraceRules({ map, now: () => now });
    assert.equal(other.has('topic', 'news:with:colons'), true);
    other.close();
  });

  it('are limited in number, without expired ones', async () => {
    for (let n = 0; n < traceRulesLimit; n++) await add(`t${n}`);
    await assert.rejects(
      add('one more'),
      (error) => error instanceof RefusalError && error.code === 'conflict',
    );
    await add('t0', 20);
    now += 10_000;
    await add('one more');
    assert.equal(rules.list().length, 2);
  });
});
