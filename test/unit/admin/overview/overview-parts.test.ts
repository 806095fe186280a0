import assert from 'node:assert/strict';
import {
  BusiestTopics,
  deliveriesPerSec,
  mergeBusiest,
} from '../../../../server/admin/overview/busiest-topics.js';
import { FigureSamples, mergeSamples } from '../../../../server/admin/overview/figure-samples.js';
import { openAlerts } from '../../../../server/admin/overview/open-alerts.js';
import { ReplicaDepartures } from '../../../../server/admin/overview/replica-departures.js';
import type { MetricsDocument } from '../../../../server/metrics/metrics-document.js';
import type { Alert } from '../../../../server/supervision/alerts.js';

describe('[CONSOLE] the samples of figures', () => {
  it('are rates between two looks, and keep ten minutes', () => {
    let at = 1_000_000_000;
    let count = 0;
    const metrics = () =>
      ({
        active_connections: 3,
        messages: { published: count, delivered: 10 * count, refused: count },
        refused: { busy: count },
        latency_ms: { delivery: { p99: 12 } },
      }) as unknown as MetricsDocument;
    const samples = new FigureSamples({ metrics, busy: () => 0.5, now: () => at });
    for (let n = 0; n < 200; n++) {
      samples.take();
      at += 5000;
      count += 50;
    }
    assert.equal(samples.all().length, 120);
    assert.deepEqual(samples.all().at(-1), {
      slot: 200_199,
      connections: 3,
      publishes_per_sec: 10,
      deliveries_per_sec: 100,
      refused_per_sec: 10,
      p99_ms: 12,
      busy: 0.5,
    });
    assert.deepEqual(samples.refusedPerSec, { busy: 10 });
  });

  it('of several replicas become one series: sums, and the worst latency', () => {
    const sample = {
      slot: 1,
      connections: 2,
      publishes_per_sec: 1,
      deliveries_per_sec: 5,
      refused_per_sec: 0,
      p99_ms: 4,
      busy: 0.1,
    };
    const merged = mergeSamples([
      [sample, { ...sample, slot: 2 }],
      [
        { ...sample, p99_ms: 9, busy: 0.7 },
        { ...sample, slot: 2, connections: 0 },
        { ...sample, slot: 3 },
      ],
    ]);
    assert.deepEqual(
      merged.map(({ slot, connections, p99_ms: p99, busy }) => [slot, connections, p99, busy]),
      [
        [1, 4, 9, 0.7],
        [2, 2, 4, 0.1],
      ],
    );
  });
});

describe('[CONSOLE] the busiest topics', () => {
  const position = (sequence: number) => ({ epoch: 'e', sequence });
  let at: number;
  let topics: {
    name: string;
    subscribers: number;
    behind: number;
    position: { epoch: string; sequence: number };
  }[];
  let busiest: BusiestTopics;

  beforeEach(() => {
    at = 0;
    topics = [
      { name: 'crowded', subscribers: 100, behind: 0, position: position(5) },
      { name: 'busy', subscribers: 2, behind: 1, position: position(5) },
    ];
    busiest = new BusiestTopics({ activeTopics: () => topics, now: () => at });
  });

  it('are those with the most subscribers at first, then those with the most deliveries', async () => {
    assert.deepEqual(
      (await busiest.look()).map(({ topic, messages_per_sec: rate }) => [topic, rate]),
      [
        ['crowded', null],
        ['busy', null],
      ],
    );
    at = 2000;
    topics[1]!.position = position(2005);
    const second = await busiest.look();
    assert.deepEqual(
      second.map(({ topic, messages_per_sec: rate }) => [topic, rate]),
      [
        ['busy', 1000],
        ['crowded', 0],
      ],
    );
    assert.equal(deliveriesPerSec(second[0]!), 2000);
  });

  it('are the same list for several consoles, and are not compared over a time when nobody looked', async () => {
    const first = await busiest.look();
    at = 500;
    assert.equal(await busiest.look(), first);
    at = 70_000;
    assert.equal((await busiest.look())[0]!.messages_per_sec, null);
  });

  it('are few of very many', async () => {
    topics = Array.from({ length: 20_000 }, (_, n) => ({
      name: `t${n}`,
      subscribers: n,
      behind: 0,
      position: position(1),
    }));
    const list = await busiest.look();
    assert.equal(list.length, 20);
    assert.equal(list[0]!.topic, 't19999');
  });

  it('of several replicas are one topic with all its subscribers', () => {
    const one = { topic: 't', subscribers: 2, behind: 1, messages_per_sec: 5 };
    assert.deepEqual(mergeBusiest([[one], [{ ...one, messages_per_sec: null }]]), [
      { topic: 't', subscribers: 4, behind: 2, messages_per_sec: 5 },
    ]);
  });
});

describe('[CONSOLE] open alerts', () => {
  const alert = (kind: string, at: number, more: Partial<Alert> = {}): Alert => ({
    ...{ id: `${kind} ${at}`, kind, at, severity: 'critical', message: '', replica_id: 'a', details: {} },
    ...more,
  });
  const kinds = (latest: readonly Alert[], stoppedActors?: ReadonlySet<string>) =>
    openAlerts(latest, { now: 1000, stoppedActors }).map(({ kind, at }) => [kind, at]);

  it('are those that no later alert has ended', () => {
    assert.deepEqual(
      kinds([alert('redis_down', 9), alert('redis_back', 8, { severity: 'info' }), alert('redis_down', 7)]),
      [['redis_down', 9]],
    );
    assert.deepEqual(kinds([alert('redis_back', 8, { severity: 'info' }), alert('redis_down', 7)]), []);
    assert.deepEqual(
      kinds([alert('redis_back', 8, { severity: 'info', replica_id: 'b' }), alert('redis_down', 7)]),
      [['redis_down', 7]],
    );
  });

  it('of an actor end when it is not stopped any more', () => {
    const stopped = alert('actor_stopped', 5, { details: { actor_id: 'topic:x' } });
    assert.deepEqual(kinds([stopped], new Set(['topic:x'])), [['actor_stopped', 5]]);
    assert.deepEqual(kinds([stopped], new Set()), []);
  });

  it('are of the last hour', () => {
    assert.deepEqual(openAlerts([alert('redis_down', 0)], { now: 3_600_001, stoppedActors: undefined }), []);
  });
});

describe('[CONSOLE] departed replicas', () => {
  it('are those that went without a word, until one of their name is back or ten minutes are over', async () => {
    let live = ['a~00000001', 'b~00000002', 'c~00000003'];
    let at = 0;
    const departures = new ReplicaDepartures({ liveReplicas: () => Promise.resolve(live), now: () => at });
    await departures.look();
    departures.expect('c~00000003');
    live = ['a~00000001'];
    at = 5000;
    await departures.look();
    assert.deepEqual(departures.list(), [{ replica: 'b', at: 5000 }]);
    live = ['a~00000001', 'b~00000009'];
    await departures.look();
    assert.deepEqual(departures.list(), []);
    live = ['a~00000001'];
    await departures.look();
    assert.equal(departures.list().length, 1);
    at = 700_000;
    await departures.look();
    assert.deepEqual(departures.list(), []);
  });
});
