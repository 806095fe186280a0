import assert from 'node:assert/strict';
import type { RefusalError } from '../../../shared/errors.js';
import type { EngineConnection } from '../../../server/gateway/engine-internals/engine-connection.js';
import type { InboundBudget } from '../../../server/gateway/inbound/inbound-budget.js';
import { InboundControl } from '../../../server/gateway/inbound/inbound-control.js';
import type { InboundSettings } from '../../../server/gateway/inbound/inbound-settings.js';
import { pauses } from '../../../server/gateway/inbound/pauses.js';
import { BodyBudget } from '../../../server/limits/body-budget.js';
import { newLimitCounts } from '../../../server/limits/limit-counts.js';
import { FakeClock } from '../../support/fake-clock.js';
import { inboundSettings } from '../../support/inbound-settings.js';

/** A transport that a test reads from. */
class FakeReader {
  isRead = true;
  probed = 0;
  limitBytes: number | undefined;

  stop(): void {
    this.isRead = false;
  }

  start(): void {
    this.isRead = true;
  }

  probe(): void {
    this.probed++;
  }

  limitFrames(bytes: number): void {
    this.limitBytes = bytes;
  }
}

/** An Engine.IO connection whose ping timer counts how often it began again. */
class FakeEngine {
  readyState = 'open';
  begun = 0;
  pingTimeoutTimer: { refresh(): void } | null = { refresh: () => this.begun++ };
}

describe('[LIMITS] the inbound budget of a transport', () => {
  let clock: FakeClock;
  let control: InboundControl;
  let reader: FakeReader;
  let engine: FakeEngine;
  let budget: InboundBudget;
  let closed: { limit: string; error: RefusalError }[];
  let bodies: BodyBudget;
  let connections: { isPressed: boolean; isAccepting: boolean };

  const start = (changes: Partial<InboundSettings> = {}, wire: 'socketio' | 'json' = 'socketio') => {
    clock = new FakeClock();
    closed = [];
    connections = { isPressed: false, isAccepting: false };
    bodies = new BodyBudget({ counts: newLimitCounts(), clock }, { limitBytes: 400_000 });
    control = new InboundControl(
      {
        clock,
        connections,
        bodies,
        callerOf: () => 'ann',
        closeTransport: (_engine, _reader, limit, error) => closed.push({ limit, error }),
      },
      inboundSettings(changes),
    );
    reader = new FakeReader();
    budget = control.newBudget(reader, wire);
    engine = new FakeEngine();
    budget.engine = engine as unknown as EngineConnection;
  };
  const frame = (text: string) => budget.admitFrame(Buffer.from(text), false);
  const closedFor = () => closed.map(({ limit, error }) => [limit, error.code, error.details.limit]);

  beforeEach(() => start());

  it('closes a transport whose message has very many fragments, and earlier before its client has joined', () => {
    start({ maxJoinBytes: 40_960, transportLimitBytes: 409_600 });
    for (let n = 1; n <= 42; n++) budget.admitFragment(n);
    assert.deepEqual(closedFor(), []);
    budget.admitFragment(43);
    assert.deepEqual(closedFor(), [['fragments', 'message_too_large', 42]]);
    start({ maxJoinBytes: 40_960, transportLimitBytes: 409_600 });
    budget.joined();
    for (let n = 1; n <= 132; n++) budget.admitFragment(n);
    assert.deepEqual(closedFor(), []);
    budget.admitFragment(133);
    assert.deepEqual(closedFor(), [['fragments', 'message_too_large', 132]]);
  });

  it('counts fragments as packets in the share of a turn', () => {
    start({ transportLimitBytes: 100_000_000 });
    budget.joined();
    for (let n = 1; n <= 600; n++) budget.admitFragment(n);
    assert.equal(reader.isRead, false);
  });

  it('reads one large frame of clients that have not joined in four turns, and those of joined clients at once', async () => {
    const joined = control.newBudget(new FakeReader(), 'socketio');
    joined.joined();
    const asked: { turn: number; may: boolean }[] = [];
    const waiting = control.newBudget(
      { stop: () => {}, limitFrames: () => {}, start: () => ask() },
      'socketio',
    );
    const ask = () => asked.push({ turn: control.share.turn, may: waiting.mayDecode(20_000) });
    assert.equal(budget.mayDecode(20_000), true);
    const first = control.share.turn;
    ask();
    assert.equal(reader.isRead, true);
    for (let n = 0; n < 10; n++) {
      assert.equal(joined.mayDecode(20_000), true);
      await clock.advance(1);
    }
    assert.deepEqual(
      asked.map(({ turn, may }) => [turn - first, may]),
      [
        [0, false],
        [1, false],
        [2, false],
        [3, false],
        [4, true],
      ],
    );
  });

  it('lets small packets of clients that have not joined wait for no turn: several by which one joins are answered as one chunk', () => {
    assert.ok(budget.mayDecode(100));
    clock.work(5);
    assert.ok(budget.mayDecode(100));
    assert.equal(reader.isRead, true);
  });

  it('closes a transport that sends more than 32 packets before its client has joined', () => {
    for (let n = 0; n < 32; n++) assert.ok(frame('40{"token":"x"}'));
    assert.equal(frame('40{"token":"x"}'), false);
    assert.deepEqual(closedFor(), [['before_join', 'rate_limited', 32]]);
    assert.equal(frame('40'), false, 'nothing more is passed on');
    assert.equal(closed.length, 1);
  });

  it('is not read for a turn after 32 packets, so that a token among them is verified before the next one', async () => {
    for (let n = 0; n < 32; n++) assert.ok(frame(`40/room-${n},{"token":"x"}`));
    assert.equal(reader.isRead, false);
    budget.authenticated();
    await clock.advance(1);
    assert.equal(reader.isRead, true);
    for (let n = 0; n < 18; n++) assert.ok(frame(`40/room-${n},{"token":"x"}`));
    assert.deepEqual(closed, []);
  });

  it('counts packets by which a client joins as waste once its token is verified, before it has joined too', async () => {
    start({ wastePacketsPerSec: 100 });
    frame('40{"token":"x"}');
    budget.authenticated();
    for (let n = 0; n < 10; n++) frame(`40/room-${n},`);
    assert.equal(reader.isRead, true);
    frame('40/room-10,');
    assert.equal(reader.isRead, false);
    for (let second = 0; second < 8; second++) {
      for (let n = 0; n < 20; n++) frame(`40/room-${n},`);
      await clock.advance(1000);
    }
    assert.deepEqual(closedFor(), [['waste', 'rate_limited', 100]]);
  });

  it('counts packets of long-polling, pings and pongs before the join as well', () => {
    for (let n = 0; n < 16; n++) {
      budget.admitPacket('40/unknown,');
      budget.admitControlFrame();
    }
    assert.deepEqual(closed, []);
    budget.admitPacket('3');
    assert.deepEqual(closedFor(), [['before_join', 'rate_limited', 32]]);
  });

  it('closes a transport that sends too many bytes before its client has joined, and reads small frames only', () => {
    start({ maxJoinBytes: 1000 });
    assert.equal(reader.limitBytes, 1000);
    assert.ok(frame(`40${'x'.repeat(600)}`));
    assert.equal(frame(`40${'x'.repeat(600)}`), false);
    assert.deepEqual(closedFor(), [['join_bytes', 'message_too_large', 1000]]);
  });

  it('reads large frames after the join, and no longer counts packets', () => {
    budget.joined();
    assert.equal(reader.limitBytes, 1_000_000);
    for (let n = 0; n < 10_000; n++) assert.ok(frame('420["ping",{}]'));
    assert.deepEqual(closed, []);
  });

  it('closes a transport that announces binary parts before its client has joined', () => {
    assert.equal(frame('451-["publish",{"_placeholder":true,"num":0}]'), false);
    assert.deepEqual(closedFor(), [['before_join', 'conflict', undefined]]);
  });

  it('lets a transport go on in a later turn when it has used its share of this one', async () => {
    budget.joined();
    let read = 0;
    while (reader.isRead) {
      frame('420["ping",{}]');
      read++;
    }
    assert.equal(read, 512);
    await clock.settle();
    assert.ok(reader.isRead);
  });

  it('counts bytes as well as packets in a turn', () => {
    budget.joined();
    let read = 0;
    for (; reader.isRead; read++) frame(`42["publish",${'x'.repeat(100_000)}]`);
    assert.equal(read, 3);
  });

  it('counts a packet on the normal path of Socket.IO as several, and more if it is long', () => {
    const packetsOf = (bytes: number) => {
      start();
      budget.joined();
      let read = 0;
      for (; reader.isRead; read++) {
        frame('42["say"]');
        budget.passedOn(bytes, false);
      }
      return read;
    };
    // Each is a unit, four more, and one for each 16 bytes. The share is compared after some units only.
    assert.deepEqual([packetsOf(16), packetsOf(1600)], [89, 6]);
  });

  it('ends the turn of busy transports together after four milliseconds', async () => {
    budget.joined();
    const other = new FakeReader();
    const second = control.newBudget(other, 'json');
    const readSome = (from: InboundBudget) => {
      for (let n = 0; n < 64; n++) from.admitFrame(Buffer.from('42["x"]'), false);
    };
    readSome(budget);
    clock.work(3);
    readSome(second);
    assert.deepEqual([reader.isRead, other.isRead], [true, true]);
    clock.work(2);
    readSome(second);
    assert.deepEqual([reader.isRead, other.isRead], [true, false]);
    readSome(budget);
    assert.equal(reader.isRead, false);
    await clock.settle();
    assert.deepEqual([reader.isRead, other.isRead], [true, true]);
  });

  it('ends it after one millisecond while new connections come turn after turn', async () => {
    budget.joined();
    const readSome = () => {
      for (let n = 0; n < 64; n++) frame('42["x"]');
    };
    readSome();
    connections.isPressed = true;
    clock.work(0.5);
    readSome();
    assert.ok(reader.isRead);
    clock.work(1);
    readSome();
    assert.equal(reader.isRead, false);
    await clock.settle();
    assert.ok(reader.isRead);
  });

  it('reads no busy transport in turns in which new connections are only accepted', async () => {
    budget.joined();
    connections.isPressed = connections.isAccepting = true;
    for (let n = 0; n < 64; n++) frame('42["x"]');
    assert.equal(reader.isRead, false);
    for (let turn = 0; turn < 10; turn++) await clock.runImmediates();
    assert.equal(reader.isRead, false);
    connections.isAccepting = false;
    await clock.runImmediates();
    assert.ok(reader.isRead);
  });

  it('counts what arrives of a message that is not complete', async () => {
    start({ transportLimitBytes: 100_000_000 });
    budget.joined();
    let chunks = 0;
    for (; reader.isRead && chunks < 100; chunks++) budget.admitUnfinished(90_000, 65_536);
    assert.equal(chunks, 4);
    await clock.settle();
    assert.ok(reader.isRead);
  });

  it('does not read a connection whose commands under way have too many bytes', async () => {
    start({ maxInflightBytes: 100 });
    budget.joined();
    budget.commandStarted(100);
    assert.ok(reader.isRead);
    budget.commandStarted(1);
    assert.equal(reader.isRead, false);
    budget.commandEnded(100);
    await clock.settle();
    assert.ok(reader.isRead);
  });

  it('reads a connection with too many commands under way again when half of them are answered', async () => {
    start({ maxInflightCommands: 4 });
    budget.joined();
    for (let n = 0; n < 4; n++) budget.commandStarted(10);
    assert.ok(reader.isRead);
    budget.commandStarted(10);
    assert.equal(reader.isRead, false);
    for (let n = 0; n < 2; n++) budget.commandEnded(10);
    await clock.settle();
    assert.equal(reader.isRead, false);
    budget.commandEnded(10);
    await clock.settle();
    assert.ok(reader.isRead);
    assert.deepEqual([control.counts.commands, control.counts.bytes, control.counts.paused], [2, 20, 1]);
  });

  it('does not read connections with much of the bytes of all, and reads those with little', async () => {
    start({ maxInflightBytes: 640_000, totalInflightBytes: 1_000_000 });
    const others = [0, 1].map(() => control.newBudget(new FakeReader(), 'json'));
    for (const other of others) other.commandStarted(500_000);
    budget.commandStarted(1000);
    assert.ok(reader.isRead);
    budget.commandStarted(500_000);
    assert.equal(reader.isRead, false);
    budget.commandEnded(500_000);
    await clock.settle();
    assert.equal(reader.isRead, true);
  });

  it('counts what each command holds beside its bytes: many small ones of all connections are much, too', async () => {
    start({ maxInflightBytes: 640_000, totalInflightBytes: 1_000_000 });
    const other = control.newBudget(new FakeReader(), 'json');
    for (let n = 0; n < 400; n++) other.commandStarted(10);
    for (let n = 0; n < 4; n++) budget.commandStarted(10);
    assert.equal(reader.isRead, false);
    for (let n = 0; n < 100; n++) other.commandEnded(10);
    budget.commandEnded(10);
    await clock.settle();
    assert.equal(reader.isRead, true);
  });

  it('does not read a connection beyond the rate of waste until the next second', async () => {
    start({ wastePacketsPerSec: 10 }, 'json');
    for (let n = 0; n < 10; n++) budget.admitControlFrame();
    assert.ok(reader.isRead);
    budget.admitControlFrame();
    assert.equal(reader.isRead, false);
    await clock.advance(1000);
    assert.ok(reader.isRead);
    assert.deepEqual(closed, []);
  });

  it('closes a connection in the sixth second beyond the rate of waste', async () => {
    start({ wastePacketsPerSec: 10 }, 'json');
    for (let second = 0; second < 5; second++) {
      for (let n = 0; n < 11; n++) budget.refused('unknown_type', 100);
      await clock.advance(1000);
    }
    assert.deepEqual(closed, []);
    for (let n = 0; n < 11; n++) budget.refused('unknown_type', 100);
    assert.deepEqual(closedFor(), [['waste', 'rate_limited', 10]]);
  });

  it('forgets seconds beyond the rate that are long past', async () => {
    start({ wastePacketsPerSec: 10 }, 'json');
    for (let n = 0; n < 12; n++) {
      for (let ping = 0; ping < 11; ping++) budget.admitControlFrame();
      await clock.advance(11_000);
    }
    assert.deepEqual(closed, []);
  });

  it('counts a refused command by its size, and packets of Engine.IO that are no messages', () => {
    budget.joined();
    budget.refused('unknown_type', 100_000);
    assert.equal(control.counts.waste, 49);
    for (const packet of ['2', '6', '7', '']) frame(packet);
    assert.equal(control.counts.waste, 53);
  });

  it('counts what a repetition can mend as no waste', () => {
    start({ wastePacketsPerSec: 10 }, 'json');
    for (const code of ['busy', 'unavailable', 'rate_limited', 'shutting_down'] as const)
      for (let n = 0; n < 100; n++) budget.refused(code, 100);
    assert.equal(control.counts.waste, 0);
  });

  it('counts acknowledgements as waste only beyond those that the client was asked for', () => {
    start({ wastePacketsPerSec: 10 }, 'json');
    for (let n = 0; n < 100; n++) budget.askedForAck();
    // They come too late: nobody waits any more.
    for (let n = 0; n < 100; n++) budget.acknowledged(false);
    assert.equal(control.counts.waste, 0);
    budget.acknowledged(false);
    assert.equal(control.counts.waste, 1);
  });

  it('lets joining and leaving cost ten times as much', () => {
    start({ wastePacketsPerSec: 100 });
    budget.joined();
    for (let n = 0; n < 5; n++) {
      frame('41');
      frame('40{"token":"x"}');
    }
    assert.equal(control.counts.waste, 100);
    assert.ok(reader.isRead);
    frame('41');
    assert.equal(reader.isRead, false);
  });

  it('closes a transport whose client joins again with a packet that is too large', () => {
    start({ maxJoinBytes: 1000 });
    budget.joined();
    assert.ok(frame(`40{"token":"${'x'.repeat(900)}"}`));
    assert.equal(frame(`40{"token":"${'x'.repeat(1000)}"}`), false);
    assert.deepEqual(closedFor(), [['join_bytes', 'message_too_large', 1000]]);
  });

  it('passes on a pong that answers a ping, and others once a second', async () => {
    budget.joined();
    for (let n = 0; n < 3; n++) assert.ok(frame('3'));
    engine.pingTimeoutTimer = null;
    assert.deepEqual([frame('3'), frame('3'), budget.admitPacket('3')], [true, false, false]);
    await clock.advance(1000);
    assert.deepEqual([frame('3'), frame('3')], [true, false]);
    assert.equal(control.counts.waste, 5);
  });

  it('closes a transport whose packet and binary parts are too large together', () => {
    start({ transportLimitBytes: 1000 });
    budget.joined();
    frame('4510-["publish",{}]');
    for (let n = 0; n < 4; n++) assert.ok(budget.admitFrame(Buffer.alloc(240), true));
    assert.equal(budget.admitFrame(Buffer.alloc(240), true), false);
    assert.deepEqual(closedFor(), [['parts', 'message_too_large', 1000]]);
  });

  it('counts each packet with binary parts by itself', () => {
    start({ transportLimitBytes: 1000 });
    budget.joined();
    for (let n = 0; n < 10; n++) {
      frame('452-["publish",{}]');
      for (let part = 0; part < 2; part++) assert.ok(budget.admitFrame(Buffer.alloc(400), true));
    }
    assert.deepEqual(closed, []);
  });

  it('closes a transport whose binary parts do not come in time', async () => {
    budget.joined();
    frame('452-["publish",{}]');
    budget.admitFrame(Buffer.alloc(10), true);
    await clock.advance(59_000);
    assert.deepEqual(closed, []);
    await clock.advance(3000);
    assert.deepEqual(closedFor(), [['parts_time', 'timeout', undefined]]);
  });

  it('counts what it holds of messages that are not complete, until they are', () => {
    budget.joined();
    budget.admitUnfinished(4000, 0);
    assert.equal(bodies.heldBytes, 0, 'little is not counted');
    for (const bytes of [50_000, 50_000, 60_000]) budget.admitUnfinished(bytes, 0);
    assert.equal(bodies.heldBytes, 60_000 + 2 * 512);
    frame('42["say"]');
    assert.equal(bodies.heldBytes, 0);
    frame('452-["publish",{}]');
    budget.admitFrame(Buffer.alloc(20_000), true);
    assert.ok(bodies.heldBytes > 20_000);
    budget.admitFrame(Buffer.alloc(20_000), true);
    assert.equal(bodies.heldBytes, 0);
    budget.admitUnfinished(50_000, 0);
    budget.ended();
    assert.equal(bodies.heldBytes, 0);
  });

  it('counts the messages of a client that has not shown a valid token until it shows one, or has gone', async () => {
    const share = 60_000 + 512;
    const joinWith = (one: InboundBudget) => {
      one.admitUnfinished(60_000, 0);
      one.admitFrame(Buffer.from('40{"token":"x"}'), false);
      assert.equal(bodies.heldBytes, share);
    };
    joinWith(budget);
    budget.authenticated();
    assert.equal(bodies.heldBytes, 0);
    const refused = control.newBudget(new FakeReader(), 'socketio');
    joinWith(refused);
    refused.ended();
    assert.equal(bodies.heldBytes, 0);
    // Thrown away, it counts in the share of its caller for a while.
    const next = control.newBudget(new FakeReader(), 'socketio');
    next.admitUnfinished(60_000, 0);
    assert.deepEqual(closedFor(), [['unfinished', 'at_capacity', 100_000]]);
    await clock.advance(5000);
    joinWith(control.newBudget(new FakeReader(), 'socketio'));
  });

  it('is closed if the unfinished messages of its caller are too many, those of other transports too', () => {
    const other = control.newBudget(new FakeReader(), 'json');
    other.admitUnfinished(60_000, 0);
    budget.admitUnfinished(60_000, 0);
    assert.deepEqual(closedFor(), [['unfinished', 'at_capacity', 100_000]]);
    // It goes on arriving until the connection has closed.
    budget.admitUnfinished(90_000, 0);
    budget.ended();
    other.ended();
    assert.deepEqual([closed.length, bodies.heldBytes], [1, 0]);
  });

  it('does not let a client that it does not read time out, but not for ever', async () => {
    const pausing = [
      () => {
        for (let n = 0; n < 2; n++) budget.commandStarted(10);
      },
      () => budget.pause(pauses.order),
    ];
    for (const pause of pausing) {
      start({ maxInflightCommands: 1 });
      budget.joined();
      pause();
      await clock.advance(100_000);
      assert.ok(engine.begun >= 99, `${engine.begun} times`);
      await clock.advance(30_000);
      const { begun } = engine;
      await clock.advance(30_000);
      assert.equal(engine.begun, begun);
    }
  });

  it('probes every second whether a client is there that it does not read for waste, or because its commands wait for each other', async () => {
    budget.joined();
    budget.pause(pauses.answers);
    budget.pause(pauses.commands);
    await clock.advance(3000);
    assert.equal(
      reader.probed,
      0,
      'what waits for its reader, or for the log, says so itself, or is to be stored',
    );
    budget.pause(pauses.order);
    await clock.advance(3000);
    assert.equal(reader.probed, 3);
    budget.resume(pauses.order);
    for (let n = 0; n < 2000; n++) budget.admitControlFrame();
    await clock.advance(1000);
    assert.equal(reader.probed, 4);
  });

  it('lets a client that is read again time out', async () => {
    budget.joined();
    budget.pause(pauses.order);
    await clock.advance(1000);
    budget.resume(pauses.order);
    const { begun } = engine;
    await clock.advance(5000);
    assert.equal(engine.begun, begun);
  });

  it('stays unread while one reason of several holds', async () => {
    budget.joined();
    budget.pause(pauses.joining);
    budget.pause(pauses.answers);
    budget.resume(pauses.joining);
    await clock.settle();
    assert.equal(reader.isRead, false);
    budget.resume(pauses.answers);
    await clock.settle();
    assert.ok(reader.isRead);
  });

  it('applies its reasons to the transport that the client upgrades to', () => {
    budget.joined();
    budget.pause(pauses.answers);
    const upgraded = new FakeReader();
    budget.useReader(upgraded);
    assert.deepEqual([upgraded.isRead, upgraded.limitBytes], [false, 1_000_000]);
  });
});
