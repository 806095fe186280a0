import assert from 'node:assert/strict';
import { z } from 'zod';
import type { Command } from '../../../server/commands/command.js';
import { CommandOrder } from '../../../server/commands/command-order.js';
import { CommandRouter } from '../../../server/commands/router.js';
import { silentLog } from '../../../server/logging/log.js';
import { systemClock } from '../../../server/primitives/clock.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { RefusalError } from '../../../shared/errors.js';

/** Lets everything happen that waits for nothing. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('[P1] CommandRouter', () => {
  let admissions: { admit(): void; refuse(): void }[];
  let isLimited: boolean;
  let ran: string[];
  let router: CommandRouter;
  const ann = { id: 'ann' } as Connection;
  const bob = { id: 'bob' } as Connection;

  beforeEach(() => {
    admissions = [];
    isLimited = true;
    ran = [];
    const command = (name: string): Command => ({
      name,
      schema: z.unknown(),
      frame: { type: name, answer: () => [] },
      refusedIn: [],
      order: { mode: 'together', topics: () => [] },
      run: ({ id }) => {
        ran.push(`${id} ${name}`);
        return {};
      },
    });
    router = new CommandRouter({
      commands: ['one', 'two', 'three'].map(command),
      order: new CommandOrder({ clock: systemClock }),
      log: silentLog,
      admit: () => {
        if (!isLimited) return undefined;
        return new Promise<void>((resolve, reject) =>
          admissions.push({
            admit: resolve,
            refuse: () => reject(new RefusalError('rate_limited', 'too many')),
          }),
        );
      },
      stillAdmitted: () => {},
      onRefused: () => {},
    });
  });

  it('runs commands in their order, in whatever order a limit admits them', async () => {
    void router.run(ann, 'one', {});
    void router.run(ann, 'two', {});
    isLimited = false;
    void router.run(ann, 'three', {});
    void router.run(bob, 'one', {});
    await turn();
    assert.deepEqual(ran, ['bob one'], 'other connections do not wait');
    admissions[1]!.admit();
    await turn();
    assert.equal(ran.length, 1);
    admissions[0]!.admit();
    await turn();
    assert.deepEqual(ran.slice(1), ['ann one', 'ann two', 'ann three']);
  });

  it('goes on with the later ones when a limit refuses an earlier one', async () => {
    const first = router.run(ann, 'one', {});
    const second = router.run(ann, 'two', {});
    admissions[1]!.admit();
    admissions[0]!.refuse();
    assert.deepEqual([(await first).ok, (await second).ok], [false, true]);
    assert.deepEqual(ran, ['ann two']);
  });

  it('does not run what has waited for its turn when the client has left meanwhile', async () => {
    const leaving = { id: 'eve', isClosed: false } as Connection & { isClosed: boolean };
    const answer = router.run(leaving, 'one', {});
    leaving.isClosed = true;
    admissions[0]!.admit();
    assert.equal((await answer).ok, false);
    assert.deepEqual(ran, []);
  });
});
