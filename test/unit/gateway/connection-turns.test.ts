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
  turn(ms: number, caller?: string, name = caller ?? '', isClosed = false): string[] {
    this.begun.length = 0;
    if (isClosed) this.connections.came();
    else if (caller !== undefined) this.connections.run(caller, () => this.begun.push(name));
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

  it('are accepted first while they come turn after turn, and get a quarter of the time meanwhile', () => {
    for (const [costMs, least, most] of [
      [0.5, 80, 110],
      [2, 22, 28],
      [50, 10, 15],
    ] as const) {
      const loop = new Loop();
      let accepted = 0;
      let begun = 0;
      // What is begun is read in the next turn.
      let ms = 0.1;
      for (let at = 0; at < 200 || begun < 10; at += ms) {
        const now = loop.turn(ms, 'mallory', `m${accepted++}`).length;
        begun += now;
        ms = now > 0 ? costMs : 0.1;
      }
      assert.ok(begun >= least && begun <= most, `${begun} of ${accepted} at ${costMs} ms each`);
    }
  });

  it('let other work wait while they are only accepted', () => {
    const loop = new Loop();
    const { connections } = loop;
    for (let n = 0; n < 5; n++) loop.turn(0.1, 'mallory');
    while (connections.isAccepting) loop.turn(0.1, 'mallory');
    // Of the turn in which one is read, others are accepted for three times its length.
    while (loop.turn(0.1, 'mallory').length === 0);
    loop.turn(2, 'mallory');
    for (let n = 0; n < 55; n++) {
      assert.ok(connections.isAccepting);
      assert.deepEqual(loop.turn(0.1, 'mallory'), []);
    }
    while (!loop.isIdle) loop.turn(0.1);
    assert.equal(connections.isAccepting, false);
  });

  it('let other work go on in turns in which none come, however many wait to be begun', () => {
    const loop = new Loop();
    const { connections } = loop;
    for (let n = 0; n < 400; n++) loop.turn(0.1, 'mallory');
    let begun = 0;
    let turns = 0;
    // What is begun takes 3 ms each in the next turn. A connection comes in every second turn, and then in none.
    for (let ms = 0.1; !loop.isIdle; ms = 0.1 + 3 * begun) {
      const comes = turns++ < 60 && turns % 2 === 0;
      begun = loop.turn(ms, comes ? 'mallory' : undefined).length;
      assert.ok(comes || !connections.isOnlyAccepting, `turn ${turns}`);
    }
    assert.ok(turns > 100, `${turns}`);
  });

  it('do not wait long where they come faster than they are begun, turn after turn, and not in a burst', () => {
    const loop = new Loop();
    const waiting = new Map<string, number>();
    let longestMs = 0;
    // Other work takes most of each turn: 100 connections a second, for ten seconds.
    for (let n = 0, at = 0; n < 1000; n++, at += 10) {
      waiting.set(`a${n}`, at);
      for (const name of loop.turn(10, 'ann', `a${n}`)) waiting.delete(name);
      for (const since of waiting.values()) longestMs = Math.max(longestMs, at - since);
    }
    assert.ok(longestMs < 1000, `${longestMs}`);
  });

  it('are accepted for half of the time where many come without end, so that nobody waits for long to be accepted', () => {
    const loop = new Loop();
    let waiting = 0;
    let accepted = 0;
    let begun = 0;
    // What is begun takes 2 ms each in the next turn. Those above a thousand are closed when they are accepted.
    let ms = 0.1;
    for (let at = 0; at < 2000; at += ms) {
      const isClosed = waiting >= 1000;
      const now = loop.turn(ms, 'mallory', 'm', isClosed).length;
      waiting += (isClosed ? 0 : 1) - now;
      ms = 0.1 + 2 * now;
      if (at < 1000) continue;
      accepted++;
      begun += now;
      // Clients that have joined do not wait for connections that come without end.
      assert.equal(loop.connections.isAccepting, false);
    }
    // Of a second, half: 5,000 turns of 0.1 ms, and 250 connections of 2 ms.
    assert.ok(accepted > 4000, `${accepted}`);
    assert.ok(begun > 200, `${begun}`);
  });

  it('are accepted for half of the time where requests take the other half, and those that come are closed at once', () => {
    const loop = new Loop();
    const { connections } = loop;
    let accepted = 0;
    let served = 0;
    let ms = 0.1;
    for (let at = 0; at < 1000; at += ms) {
      loop.turn(ms, 'mallory', '', true);
      accepted++;
      const isServed = !connections.isOnlyAccepting;
      if (isServed) {
        connections.served();
        served++;
      }
      // Requests take 2 ms in a turn.
      ms = isServed ? 2.1 : 0.1;
      assert.equal(connections.isAccepting, false);
    }
    assert.ok(accepted > 4000, `${accepted}`);
    assert.ok(served > 200, `${served}`);
    loop.turn(0.1);
    assert.equal(connections.isOnlyAccepting, false, 'requests run where no more come');
  });

  it('are begun in each turn if very many wait', () => {
    const loop = new Loop();
    const begun: number[] = [];
    for (let n = 0; n < 2200; n++) begun.push(loop.turn(begun.at(-1) === 1 ? 50 : 0.001, 'ann').length);
    const among = (from: number, to: number) => begun.slice(from, to).reduce((sum, one) => sum + one, 0);
    assert.ok(among(0, 1900) < 5, `${among(0, 1900)}`);
    assert.equal(among(2100, 2200), 100);
  });

  it('let requests run now and then while very many wait, and more come turn after turn', () => {
    const loop = new Loop();
    const { connections } = loop;
    for (let n = 0; n < 6000; n++) loop.turn(0.05, 'mallory');
    let longest = 0;
    let waited = 0;
    // Each that is begun takes 4 ms.
    for (let at = 0; at < 2000; at += 4) {
      assert.equal(loop.turn(4, 'mallory').length, 1);
      waited += 4;
      longest = Math.max(longest, waited);
      if (connections.isOnlyAccepting) continue;
      connections.served();
      waited = 0;
    }
    assert.ok(longest >= 20 && longest <= 60, `${longest} ms`);
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
    const numbers = (names: readonly string[]) => names.map((name) => Number(name.slice(1)));
    for (let n = 0; n < 40; n++) loop.turn(0.01, 'ann', `a${n}`);
    const [first = 0, ...others] = numbers(loop.turn(0.01));
    assert.deepEqual([first < 30, others], [true, [first + 1, first + 2, first + 3]]);
    for (let n = 40; n < 300; n++) loop.turn(0.01, 'ann', `a${n}`);
    const [newest = 0, next] = numbers(loop.turn(0.01));
    assert.ok(newest >= 295 && next! < newest, `${newest} ${next}`);
  });

  it('of one caller do not wait until no more come, where very many wait', () => {
    const loop = new Loop();
    const begun = new Set<string>();
    // At first in a burst, then twice as fast as they are begun.
    for (let n = 0, ms = 0.01; n < 1300; n++) {
      const names = loop.turn(n < 300 ? 0.01 : ms, 'ann', `a${n}`);
      for (const name of names) begun.add(name);
      ms = names.length > 0 ? 5 : 1;
    }
    const late = Array.from({ length: 150 }, (_, n) => `a${n}`).filter((name) => !begun.has(name));
    assert.deepEqual(late, [], `${begun.size} were begun`);
  });
});
