import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { check } from '../../../bench/chaos/checker/check.js';
import { describe as describeViolation } from '../../../bench/chaos/checker/describe.js';
import { shortest } from '../../../bench/chaos/checker/shortest.js';
import type { HistoryFact } from '../../../bench/chaos/history/event.js';
import { log, say, written } from './written-history.js';

/** The rules that a history breaks. */
const broken = (...facts: readonly HistoryFact[]): string[] =>
  check(written(...facts)).map(({ rule }) => rule);

describe('[CHAOS] the checker of histories', () => {
  describe('P1 order', () => {
    it('finds two messages at one position', () => {
      deepEqual(broken(say.message('s', 1, 'm1'), say.message('other', 1, 'x')), ['P1.1']);
    });
    it('finds a message with two positions', () => {
      deepEqual(broken(say.message('s', 1, 'm1'), say.message('other', 2, 'm1')), ['P1.1']);
    });
    it('finds publishes of one connection that are stored in another order', () => {
      const facts = [say.publish('a'), say.publish('b'), say.acknowledged('b', 1), say.acknowledged('a', 2)];
      deepEqual(broken(...facts), ['P1.5']);
    });
    it('allows a repeated publish to be stored behind a later one', () => {
      const facts = [say.publish('a'), say.publish('b'), say.refused('a', 'busy'), say.acknowledged('b', 1)];
      deepEqual(broken(...facts, say.publish('a', 2), say.acknowledged('a', 2, { attempt: 2 })), []);
    });
    it('finds a log whose sequences are not consecutive', () => {
      const facts = [say.publish('m1'), say.publish('m3'), say.stored(0), say.stored(1, 'm3', 'e1', 3)];
      deepEqual(broken(...facts, say.logRead(3)), ['P1.2']);
    });
  });

  describe('P2 no silent gap', () => {
    const whole = [say.connected('s'), say.subscribed('s', 0), say.message('s', 1), say.message('s', 2)];
    it('accepts a subscriber that receives everything', () => {
      deepEqual(broken(...whole, say.message('s', 3), ...log(1, 3), say.settled('s')), []);
    });
    it('finds a message that is missing', () => {
      deepEqual(broken(say.subscribed('s', 0), say.message('s', 1), say.message('s', 3)), ['P2.1']);
    });
    it('finds the first message missing after the start', () => {
      deepEqual(broken(say.subscribed('s', 4), say.message('s', 6)), ['P2.1']);
    });
    it('finds a message that comes twice', () => {
      deepEqual(broken(...whole, say.message('s', 2)), ['P2.1']);
    });
    it('finds messages in another order', () => {
      deepEqual(broken(say.subscribed('s', 0), say.message('s', 2), say.message('s', 1)), ['P2.1', 'P2.1']);
    });
    it('finds the end of the log missing when the subscriber has settled', () => {
      deepEqual(broken(...whole, ...log(1, 3), say.settled('s')), ['P2.1']);
    });
    it('finds a message missing between two connections of a client with positions', () => {
      const again = say.subscribed('s', 4, {
        since: { epoch: 'e1', sequence: 2 },
        recovered: true,
        missed: 2,
      });
      deepEqual(broken(...whole, say.connected('s', 2), again, say.message('s', 3, 'm3', 'e1', 2)), []);
      deepEqual(broken(...whole, say.connected('s', 2), again, say.message('s', 4, 'm4', 'e1', 2)), ['P2.1']);
    });
    it('finds a message missing when a client subscribes again from an earlier position', () => {
      const again = say.subscribed('s', 4, {
        since: { epoch: 'e1', sequence: 1 },
        recovered: true,
        missed: 2,
      });
      deepEqual(broken(...whole, again, say.message('s', 3)), []);
      deepEqual(broken(...whole, again, say.message('s', 2), say.message('s', 3)), []);
      deepEqual(broken(...whole, again, say.message('s', 4)), ['P2.1']);
      deepEqual(broken(...whole, again, say.message('s', 2), say.message('s', 4)), ['P2.1']);
    });
    it('allows a session to repeat messages, and to skip none', () => {
      const resumed = say.subscribed('s', 3, { by: 'session', recovered: true, missed: 2 });
      const start = [...whole, say.connected('s', 2, true), resumed];
      deepEqual(broken(...start, say.message('s', 2), say.message('s', 3)), []);
      deepEqual(broken(...start, say.message('s', 3)), []);
      deepEqual(broken(...start, say.message('s', 4)), ['P2.1']);
    });
    it('finds a session that goes on behind what the client has received', () => {
      const resumed = say.subscribed('s', 5, { by: 'session', recovered: true, missed: 1 });
      deepEqual(broken(...whole, say.connected('s', 2, true), resumed), ['S3.1']);
    });
    it('finds a notice of a loss where nothing can have been lost', () => {
      deepEqual(broken(...whole, say.gap('s', 5)), ['P2.2']);
    });
    it('finds messages after an unsubscribe that was answered', () => {
      deepEqual(broken(...whole, say.unsubscribed('s'), say.message('s', 3)), ['G1.5']);
    });
  });

  describe('P3 stored', () => {
    it('finds an acknowledged publish that is not in the log', () => {
      deepEqual(broken(say.publish('a'), say.acknowledged('a', 1), say.logRead(0)), ['P3.1']);
    });
    it('allows it to be lost while Redis loses writes, and at no other time', () => {
      const facts = [say.publish('a'), say.acknowledged('a', 1)];
      deepEqual(broken(...facts, say.fault(0, 2), say.logRead(0)), []);
      deepEqual(broken(...facts, say.fault(3, 4), say.logRead(0)), ['P3.1']);
    });
    it('does not allow it where Redis keeps what was acknowledged like that', () => {
      const losing = {
        kind: 'fault',
        what: 'failover',
        loses: { fromMs: 0, untilMs: 2, keeps: 'replicated' },
      } as const;
      const acknowledged = (durability: string) => say.acknowledged('a', 1, { durability });
      deepEqual(broken(say.publish('a'), acknowledged('stored'), losing, say.logRead(0)), []);
      deepEqual(broken(say.publish('a'), acknowledged('replicated'), losing, say.logRead(0)), ['P3.1']);
    });
    it('finds a refused publish in the log', () => {
      const facts = [say.publish('m1'), say.refused('m1', 'unavailable'), say.stored(0), say.logRead(1)];
      deepEqual(broken(...facts), ['P3.3']);
    });
    it('finds a refused publish whose repetition is a duplicate', () => {
      const facts = [say.publish('m1'), say.refused('m1', 'unavailable'), say.publish('m1', 2)];
      const answer = say.acknowledged('m1', 1, { attempt: 2, duplicate: true });
      deepEqual(broken(...facts, answer, say.stored(0), say.logRead(1)), ['P3.3']);
    });
    it('allows a publish with an unknown outcome to be in the log', () => {
      const facts = [say.publish('m1'), say.refused('m1', 'outcome_unknown'), say.stored(0), say.logRead(1)];
      deepEqual(broken(...facts), []);
    });
    it('finds a message that nobody has published', () => {
      deepEqual(broken(say.stored(0), say.logRead(1)), ['P3.1']);
    });
  });

  describe('P4 once', () => {
    it('finds a publish that is stored twice', () => {
      const twice = { ...say.stored(1, 'x'), body: 'b-m1' } as HistoryFact;
      deepEqual(broken(say.publish('m1'), say.stored(0), twice, say.logRead(2)), ['P4.2']);
    });
    it('finds two answers of one publish that differ', () => {
      const facts = [...log(1, 1), say.publish('m1', 2)];
      deepEqual(broken(...facts, say.acknowledged('m1', 1, { attempt: 2, duplicate: true })), []);
      deepEqual(broken(...facts, say.acknowledged('m1', 1, { attempt: 2 })), ['P4.1']);
      ok(broken(...facts, say.acknowledged('m1', 2, { attempt: 2, id: 'x' })).includes('P4.1'));
    });
    it('allows another answer if the first one was stored while Redis lost writes, and answered later', () => {
      const first = [say.publish('m1'), say.fault(0, 2), say.acknowledged('m1', 9, { id: 'lost' })];
      const facts = [...first, say.publish('m1', 2), say.acknowledged('m1', 1, { attempt: 2, epoch: 'e2' })];
      deepEqual(broken(...facts, say.stored(0, 'm1', 'e2', 1), say.logRead(1, 'e2')), []);
    });
  });

  describe('P5 fenced', () => {
    const lost = [say.subscribed('s', 0), say.message('s', 1), say.message('s', 2, 'lost'), say.fault(0, 3)];
    const rest = [say.publish('m1'), say.publish('new'), say.publish('lost'), say.stored(0)];
    it('finds a position that is used again after a loss', () => {
      deepEqual(broken(...lost, say.message('other', 2, 'new')), ['P5.2']);
    });
    it('finds a subscriber that is not notified of a loss', () => {
      const facts = [...rest, say.stored(1, 'new', 'e2', 2), say.publish('m3'), say.stored(2, 'm3', 'e2', 3)];
      const end = [...facts, say.logRead(3, 'e2')];
      deepEqual(broken(...lost, say.message('s', 3, 'm3', 'e2'), ...end), ['P5.4']);
      deepEqual(
        broken(
          ...lost,
          say.gap('s', 1, 'e2'),
          say.message('s', 2, 'new', 'e2'),
          say.message('s', 3, 'm3', 'e2'),
          ...end,
        ),
        [],
      );
    });
    it('asks for no notice to a reader who is past all that a log has lost at its beginning', () => {
      const facts = [
        say.publish('lost'),
        say.publish('m3'),
        say.stored(0, 'm3', 'e2', 3),
        say.logRead(3, 'e2'),
      ];
      deepEqual(broken(...lost, say.message('s', 3, 'm3', 'e2'), say.publish('m1'), ...facts), []);
    });
    it('finds a notice for a subscriber that has lost nothing', () => {
      const start = [say.subscribed('s', 0), say.message('s', 1), say.fault(0, 2)];
      deepEqual(broken(...start, say.gap('s', 1, 'e2'), ...log(1, 1)), ['P5.3']);
    });
    it('allows a session to announce a loss again that its client has been notified of, and no other one', () => {
      const [start, again] = [say.subscribed('s', 0), [say.message('s', 1), say.fault(0, 3)]];
      const resumed = (by: 'command' | 'session') => [
        say.connected('s', 2, true),
        say.subscribed('s', 1, { by, recovered: false, missed: 1 }),
      ];
      deepEqual(broken(start, say.gap('s', 0), ...again, ...resumed('session'), ...log(1, 1)), []);
      deepEqual(broken(start, say.gap('s', 0), ...again, ...resumed('command'), ...log(1, 1)), ['P5.3']);
      deepEqual(broken(start, ...again, ...resumed('session'), ...log(1, 1)), ['P5.3']);
    });
  });

  describe('P6 confirmed', () => {
    const direct = { client: 'd', connection: 1, operation: 'd-1', attempt: 1, target: 's' } as const;
    const sent: HistoryFact = { ...direct, kind: 'direct', body: 'b-d-1' };
    const answer = (delivered: number): HistoryFact => ({
      ...direct,
      kind: 'direct-answered',
      outcome: 'acknowledged',
      id: 'd1',
      sequence: 1,
      delivered,
    });
    it('finds a publish that is reported as delivered to more connections than have received it', () => {
      const confirmed = (delivered: number): HistoryFact => ({
        ...(say.acknowledged('m1', 1) as Extract<HistoryFact, { outcome: 'acknowledged' }>),
        delivered,
        expected: 2,
      });
      const received = [say.message('s', 1), say.message('other', 1)];
      deepEqual(broken(say.publish('m1'), ...received, confirmed(2), ...log(1, 1).slice(2)), []);
      deepEqual(broken(say.publish('m1'), received[0]!, confirmed(2), ...log(1, 1).slice(2)), ['P6.1']);
      deepEqual(broken(say.publish('m1'), ...received, confirmed(3), ...log(1, 1).slice(2)), ['P6.1']);
    });
    const arrived = (sequence: number, body = 'b-d-1'): HistoryFact => ({
      kind: 'direct-received',
      client: 's',
      connection: 1,
      user: 's',
      epoch: 'i1',
      sequence,
      id: `d${sequence}`,
      body,
    });
    it('finds a delivery that was reported and did not take place', () => {
      deepEqual(broken(sent, arrived(1), answer(1)), []);
      deepEqual(broken(sent, answer(1)), ['P6.4']);
    });
    it('finds a direct message that never arrives', () => {
      deepEqual(broken(sent, answer(0), say.connected('s'), say.settled('s')), ['P6.3']);
      deepEqual(broken(sent, answer(0)), []);
    });
    it('finds direct messages out of order', () => {
      deepEqual(broken(arrived(2, 'x'), arrived(1, 'y')), ['P6.5']);
    });
  });

  describe('P7 and P8', () => {
    it('finds a publish that is never answered', () => {
      deepEqual(broken(say.publish('a'), say.unanswered('a')), ['P7.2']);
    });
    it('finds a replica that grows beyond its limit', () => {
      deepEqual(broken({ kind: 'memory', replica: 'r1', growthBytes: 2, limitBytes: 1 }), ['P7.3']);
    });
    it('finds a replica that does not end, or not in time', () => {
      const stopped = { kind: 'replica-stopped', replica: 'r1', limitMs: 10 } as const;
      deepEqual(broken({ ...stopped, exitCode: 0, tookMs: 5 }), []);
      deepEqual(broken({ ...stopped, exitCode: null, tookMs: 20 }), ['P8.1', 'P8.2']);
    });
  });

  describe('presence', () => {
    const read = (users: readonly string[], connected: readonly string[]): HistoryFact => ({
      kind: 'presence-read',
      replica: 'r1',
      topic: 't',
      users,
      connected,
    });
    const seen = (event: 'join' | 'leave'): HistoryFact => ({
      kind: 'presence-event',
      client: 's',
      connection: 1,
      topic: 't',
      event,
      user: 'u',
    });
    it('finds who is missing, and who is not there any more', () => {
      deepEqual(broken(read(['s'], ['s'])), []);
      deepEqual(broken(read([], ['s'])), ['presence']);
      deepEqual(broken(read(['s'], [])), ['presence']);
    });
    it('finds a watcher whose last event is wrong, unless it has subscribed since', () => {
      const end = [say.settled('s'), read(['u'], ['u'])];
      deepEqual(broken(seen('leave'), seen('join'), ...end), []);
      deepEqual(broken(seen('join'), seen('leave'), ...end), ['presence']);
      deepEqual(broken(seen('leave'), say.subscribed('s', 0), ...end), []);
    });
  });

  it('finds a client that cannot come back, what is no frame, and a replica that logs a bug', () => {
    deepEqual(broken({ kind: 'unreadable', client: 's', connection: 1, text: '42[' }), ['wire']);
    deepEqual(broken({ kind: 'stuck', client: 's', what: 'is not connected' }), ['recovers']);
    deepEqual(broken({ kind: 'bug', replica: 'r1', line: 'Uncaught exception' }), ['N4.2']);
  });

  it('shows the shortest history of a violation: no event of it can be left out', () => {
    const numbers = Array.from({ length: 200 }, (_, n) => n + 1);
    const history = written(
      say.subscribed('other', 0),
      say.subscribed('s', 0),
      ...numbers.flatMap((n) => [
        ...(n === 120 ? [] : [say.message('s', n)]),
        say.message('other', n),
        say.publish(`m${n}`),
      ]),
    );
    const [violation] = check(history);
    match(violation?.text ?? '', /received e1:121 of t after 119/);
    const shown = shortest(history, violation!);
    deepEqual(
      shown.map((event) => [event.kind, (event as { sequence: number }).sequence]),
      [
        ['message', 119],
        ['message', 121],
      ],
    );
    equal(describeViolation(history, violation!).split('\n').length, 3);
  });
});
