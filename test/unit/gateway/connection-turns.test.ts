import assert from 'node:assert/strict';
import { ConnectionTurns } from '../../../server/gateway/handshake/connection-turns.js';

/** Turns of an event loop that are begun by hand. */
class Loop {
  private at = 0;
  private next: (() => void)[] = [];
  readonly begun: string[] = [];
  readonly connections = new ConnectionTurns({
    clock: { now: () => this.at, setImmediate: (run) => this.next.push(run) as unknown as object },
  });

  /** A turn of this length, in which a connection is accepted, or none. Returns what was begun in it. */
  turn(ms: number, caller?: string, name = caller ?? ''): string[] {
    this.begun.length = 0;
    if (caller !== undefined) this.connections.run(caller, () => this.begun.push(name));
    this.at += ms;
    for (const run of this.next.splice(0)) run();
    return [...this.begun];
  }

  get isIdle(): boolean {
    return this.next.length === 0;
  }
}

describe('[LIMITS] new TCP connections', () => {
  it('are read at once when they come one by one', () => {
    const loop = new Loop();
    for (let n = 0; n < 3; n++) {
      assert.deepEqual(loop.turn(1, 'ann'), ['ann']);
      while (!loop.isIdle) assert.deepEqual(loop.turn(1), []);
    }
  });

  it('are accepted first while they come turn after turn, and some are read meanwhile', () => {
    const loop = new Loop();
    const begun: string[] = [];
    for (let n = 0; n < 100; n++) begun.push(...loop.turn(1, 'mallory', `m${n}`));
    assert.ok(begun.length > 20 && begun.length < 30, `${begun.length}`);
    assert.deepEqual(begun.slice(0, 2), ['m0', 'm1']);
    for (const one of loop.turn(1)) begun.push(one);
    assert.ok(begun.length < 35);
    while (!loop.isIdle) begun.push(...loop.turn(1));
    assert.deepEqual(new Set(begun).size, 100);
  });

  it('of several callers take turns', () => {
    const loop = new Loop();
    for (let n = 0; n < 50; n++) loop.turn(0.1, 'mallory');
    loop.turn(0.1, 'ann');
    loop.turn(0.1, 'bob');
    const first = loop.turn(0.1);
    assert.ok(first.includes('ann') && first.includes('bob'), first.join());
  });

  it('of one caller are read in their order, the newest first if there are very many', () => {
    const loop = new Loop();
    for (let n = 0; n < 40; n++) loop.turn(0.01, 'ann', `a${n}`);
    assert.deepEqual(loop.turn(0.01).slice(0, 2), ['a2', 'a3']);
    for (let n = 40; n < 200; n++) loop.turn(0.01, 'ann', `a${n}`);
    assert.deepEqual(loop.turn(0.01).slice(0, 2), ['a199', 'a198']);
  });
});
