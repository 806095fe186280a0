import { deepEqual, ok } from 'node:assert/strict';
import { check } from '../../../bench/chaos/checker/check.js';
import type { Violation } from '../../../bench/chaos/checker/violation.js';
import { Publisher } from '../../../bench/chaos/clients/publisher.js';
import { Subscriber } from '../../../bench/chaos/clients/subscriber.js';
import { breachNames, withBreach, type BreachName } from '../../../bench/chaos/faults/breaches.js';
import { Recorder } from '../../../bench/chaos/history/recorder.js';
import { seededRandom } from '../../../bench/seeded-random.js';
import { until } from '../../support/wait.js';
import { MemoryService } from './memory-service.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** What breaks which rule. */
const expected: Record<BreachName, RegExp> = {
  reorder: /^P2\.1$/,
  drop: /^P2\.1$/,
  double: /^P2\.1$/,
  'early-ack': /^P3\.1$/,
  'no-fence': /^P5\.2$/,
};

/** Runs the clients of chaos runs on a faultless service, with a breach between them, and checks their history. */
async function run(breach: BreachName | undefined): Promise<Violation[]> {
  const service = new MemoryService();
  const recorder = new Recorder();
  const random = seededRandom(seed);
  const openWire =
    breach === undefined ? service.openWire : withBreach(breach, service.openWire, seededRandom(seed + 1));
  const dependencies = { recorder, openWire, random, doors: [{ replica: 'r1', port: 0 }] };
  const subscriber = new Subscriber(dependencies, {
    name: 's1',
    kind: 'json',
    recovery: 'positions',
    topics: ['t'],
  });
  const publisher = new Publisher(dependencies, {
    name: 'p1',
    kind: 'json',
    command: 'publish',
    targets: ['t'],
    perSec: 4000,
  });
  try {
    subscriber.start();
    await until(() => subscriber.subscribed.has('t'), 'the subscriber is subscribed');
    publisher.start();
    await until(() => service.end.sequence >= 600, 'half is published');
    service.loseTail(50);
    recorder.add({ kind: 'fault', what: 'the tail is lost', loses: { fromMs: 0, untilMs: recorder.now } });
    await until(() => service.end.sequence >= 1200, 'the rest is published');
    publisher.finish();
    await until(() => publisher.isDone, 'everything is answered');
  } finally {
    publisher.stop();
    subscriber.stop();
  }
  for (const [place, message] of service.log.messages.entries())
    recorder.add({ kind: 'stored', topic: 't', place, ...message });
  recorder.add({ kind: 'log-read', topic: 't', ...service.end });
  return check(recorder.events);
}

describe('[CHAOS] planted breaches', () => {
  it(`are not found where there is none (SEED=${seed})`, async () => {
    deepEqual(await run(undefined), []);
  });
  for (const breach of breachNames)
    it(`are found: ${breach} (SEED=${seed})`, async () => {
      const rules = (await run(breach)).map(({ rule }) => rule);
      ok(
        rules.some((rule) => expected[breach].test(rule)),
        `found ${[...new Set(rules)].join(', ')}`,
      );
    });
});
