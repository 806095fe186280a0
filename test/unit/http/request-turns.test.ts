import assert from 'node:assert/strict';
import { RequestTurns } from '../../../server/http/request-turns.js';

/** A clock whose time passes only by work, and whose turns are begun by hand. */
class Turns {
  private at = 0;
  private next: (() => void)[] = [];
  /** What the turns of new connections say. */
  readonly connections = {
    isPressed: false,
    isOnlyAccepting: false,
    /** How often they were told that requests run. */
    told: 0,
    served() {
      this.told++;
    },
  };
  readonly done: string[] = [];
  readonly requests = new RequestTurns({
    clock: { now: () => this.at, setImmediate: (run) => this.next.push(run) as unknown as object },
    connections: this.connections,
  });

  arrives(caller: string, name: string, ms = 0, socket = { destroyed: false }): boolean {
    return this.requests.run(caller, socket, () => {
      this.at += ms;
      this.done.push(name);
    });
  }

  turn(): string[] {
    this.done.length = 0;
    for (const run of this.next.splice(0)) run();
    return [...this.done];
  }

  get isIdle(): boolean {
    return this.next.length === 0;
  }
}

describe('[LIMITS] requests that arrive at once', () => {
  it('run at once while they are few, and the others in later turns, those of several callers in turns', () => {
    const turns = new Turns();
    for (let n = 1; n <= 40; n++) turns.arrives('mallory', `m${n}`);
    assert.deepEqual(turns.done.length, 16);
    turns.arrives('ann', 'a1');
    turns.arrives('ann', 'a2');
    assert.deepEqual(turns.turn().slice(0, 5), ['m17', 'a1', 'm18', 'a2', 'm19']);
    assert.deepEqual(turns.turn().at(-1), 'm40');
    turns.turn();
    assert.ok(turns.isIdle);
    turns.arrives('ann', 'a3');
    assert.deepEqual(turns.done, ['a3']);
  });

  it('end their turn after four milliseconds', () => {
    const turns = new Turns();
    for (const name of ['1', '2', '3', '4', '5']) turns.arrives('ann', name, 3);
    assert.deepEqual(turns.done, ['1', '2']);
    assert.deepEqual(turns.turn(), ['3', '4']);
    assert.deepEqual(turns.turn(), ['5']);
  });

  it('leave turns short while new connections come', () => {
    const turns = new Turns();
    turns.connections.isPressed = true;
    for (let n = 1; n <= 5; n++) turns.arrives('ann', `${n}`);
    assert.deepEqual(turns.done, ['1', '2']);
    assert.deepEqual(turns.turn(), ['3', '4']);
    turns.connections.isPressed = false;
    assert.deepEqual(turns.turn(), ['5']);
  });

  it('wait while connections are only accepted', () => {
    const turns = new Turns();
    turns.connections.isPressed = true;
    turns.connections.isOnlyAccepting = true;
    turns.arrives('ann', '1');
    assert.deepEqual([turns.done, turns.turn(), turns.connections.told], [[], [], 0]);
    turns.connections.isOnlyAccepting = false;
    assert.deepEqual(turns.turn(), ['1']);
    assert.equal(turns.connections.told, 1);
  });

  it('take no turn when their client has gone while they waited', () => {
    const turns = new Turns();
    const gone = { destroyed: false };
    for (let n = 1; n <= 16; n++) turns.arrives('ann', `${n}`);
    for (let n = 1; n <= 100; n++) turns.arrives('ann', 'gone', 0, gone);
    turns.arrives('ann', 'last');
    gone.destroyed = true;
    assert.deepEqual(turns.turn(), ['last']);
  });

  it('are refused above a thousand of one caller, and those of others still wait', () => {
    const turns = new Turns();
    const admitted = Array.from({ length: 1100 }, (_, n) => turns.arrives('mallory', `m${n}`));
    assert.equal(admitted.filter(Boolean).length, 1016);
    assert.ok(turns.arrives('ann', 'a'));
    assert.equal(turns.turn()[1], 'a');
  });

  it('find room behind a few callers who have filled it, one of each caller', () => {
    const turns = new Turns();
    for (const caller of ['m1', 'm2', 'm3', 'm4', 'm5'])
      for (let n = 0; n < 1100; n++) turns.arrives(caller, caller);
    assert.equal(turns.arrives('m1', 'more'), false);
    assert.equal(turns.arrives('probe', 'health'), true);
    assert.equal(turns.arrives('probe', 'another'), false);
    for (let n = 0; n < 2000; n++) turns.arrives(`b${n}`, 'b');
    assert.equal(turns.arrives('late', 'late'), false, 'it is bounded all the same');
    assert.ok(turns.turn().includes('health'));
  });

  it('go on when one of them throws', () => {
    const turns = new Turns();
    for (let n = 1; n <= 16; n++) turns.arrives('ann', 'x');
    turns.requests.run('ann', { destroyed: false }, () => assert.fail('a bug'));
    turns.arrives('ann', 'last');
    assert.throws(() => turns.turn(), /a bug/);
    assert.deepEqual(turns.turn(), ['last']);
  });
});
