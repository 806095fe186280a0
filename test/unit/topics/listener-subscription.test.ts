import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Position } from '../../../shared/position.js';
import type { History, HistoryRequest } from '../../../server/log/history.js';
import { isPositionIn } from '../../../server/log/lineage.js';
import { ListenerSubscription } from '../../../server/topics/listener-subscription.js';
import { silentLog } from '../../../server/logging/log.js';
import { systemClock } from '../../../server/primitives/clock.js';
import { seededRandom } from '../../../bench/seeded-random.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const schedules = 300;

/** A log in the form of its answers: sequences of messages, the epochs that it continues, what is stored. */
class Model {
  epoch = 'e0';
  sequence = 0;
  previous: Position[] = [];
  stored: { sequence: number; name: string }[] = [];
  epochs = 0;
  names = 0;

  append(): void {
    this.stored.push({ sequence: ++this.sequence, name: `m${++this.names}` });
  }

  trim(keep: number): void {
    this.stored = this.stored.slice(-keep || this.stored.length);
  }

  /** The newest messages are lost; the log goes on in a new epoch. */
  rollBack(by: number): void {
    this.sequence = Math.max(0, this.sequence - by);
    this.stored = this.stored.filter(({ sequence }) => sequence <= this.sequence);
    const ends = [{ epoch: this.epoch, sequence: this.sequence }, ...this.previous];
    this.previous = ends.map((end) => ({ ...end, sequence: Math.min(end.sequence, this.sequence) }));
    this.epoch = `e${++this.epochs}`;
  }

  lose(): void {
    this.epoch = `e${++this.epochs}`;
    this.sequence = 0;
    this.previous = [];
    this.stored = [];
  }

  read({ since, limit }: HistoryRequest): History {
    const { epoch, sequence, previous } = this;
    const log = { epoch, sequence, previous };
    const firstSequence = this.stored[0]?.sequence ?? sequence + 1;
    const inside = isPositionIn(log, since!);
    const after = inside ? since!.sequence : 0;
    const entries = this.stored
      .filter((item) => item.sequence > after)
      .slice(0, limit)
      .map((item) => ({ sequence: item.sequence, entry: Buffer.from(item.name) }));
    const last = entries.at(-1)?.sequence;
    return {
      ...log,
      firstSequence,
      entries,
      continuous: inside && since!.sequence + 1 >= firstSequence,
      next: last === undefined || last >= sequence ? undefined : { since: { epoch, sequence: last } },
      truncated: false,
    };
  }
}

describe(`[P1] [P2] a subscription of the program (seed ${seed})`, () => {
  it('hands over every message once and in order, or tells the gap, whatever happens to the log', async () => {
    for (let n = 0; n < schedules; n++) await run(seed + n);
  });

  it('goes on when its listener fails, and when the log cannot be read for a while', async () => {
    const model = new Model();
    const got: string[] = [];
    let failures = 2;
    const subscription = new ListenerSubscription(
      {
        read: (page) =>
          failures-- > 0 ? Promise.reject(new Error('down')) : Promise.resolve(model.read(page)),
        log: silentLog,
        clock: { ...systemClock, sleep: async () => void (await turn()) },
      },
      't',
      { epoch: model.epoch, sequence: 0, previous: [] },
      {
        message: ({ entry }) => {
          got.push(entry.toString());
          throw new Error('a bug of the program');
        },
        gap: () => assert.fail('nothing is lost'),
      },
    );
    model.append();
    model.append();
    subscription.start();
    await settle(() => got.length === 2);
    subscription.close();
    assert.deepEqual(got, ['m1', 'm2']);
  });
});

async function settle(isDone: () => boolean): Promise<void> {
  for (let n = 0; n < 1000 && !isDone(); n++) await turn();
  assert.ok(isDone());
}

async function run(thisSeed: number): Promise<void> {
  const random = seededRandom(thisSeed);
  const model = new Model();
  for (let n = random(4); n > 0; n--) model.append();
  const got: number[] = [];
  // Thrown in a listener they would only be logged.
  const problems: string[] = [];
  let at: Position = { epoch: model.epoch, sequence: model.sequence };
  const subscription = new ListenerSubscription(
    {
      // An answer takes its time: the log may change meanwhile.
      read: async (page) => {
        const answer = model.read({ ...page, limit: 1 + random(3) });
        await turn();
        return answer;
      },
      log: silentLog,
      clock: systemClock,
    },
    't',
    { epoch: at.epoch, sequence: at.sequence, previous: [] },
    {
      message: async ({ entry, sequence }, epoch) => {
        if (sequence !== at.sequence + 1) problems.push(`${sequence} after ${at.sequence}`);
        at = { epoch, sequence };
        got.push(Number(entry.toString().slice(1)));
        if (random(3) === 0) await turn();
      },
      gap: (from, to) => {
        if (from.sequence !== at.sequence) problems.push(`a gap from ${from.sequence} after ${at.sequence}`);
        at = to;
      },
    },
  );
  subscription.start();
  for (let step = 0; step < 30; step++) {
    const what = random(20);
    if (what < 12) model.append();
    else if (what < 14) model.trim(1 + random(3));
    else if (what === 14) model.rollBack(random(3));
    else if (what === 15) model.lose();
    else await turn();
    if (random(2) === 0) subscription.moved();
  }
  subscription.moved();
  await settle(
    () => subscription.position.sequence === model.sequence && subscription.position.epoch === model.epoch,
  );
  subscription.close();
  assert.deepEqual(problems, [], `seed ${thisSeed}`);
  assert.deepEqual(
    got,
    [...new Set(got)].sort((a, b) => a - b),
    `seed ${thisSeed}: each once, in order`,
  );
  assert.equal(at.sequence, model.sequence, `seed ${thisSeed}: everything was handed over, or told`);
}
