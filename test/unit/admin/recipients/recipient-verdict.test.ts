import assert from 'node:assert/strict';
import { judge, type Evidence } from '../../../../server/admin/recipients/recipient-verdict.js';
import type { JudgedMessage } from '../../../../server/admin/recipients/recipient-findings.js';
import type {
  ConnectionFact,
  RecipientFacts,
} from '../../../../server/admin/recipients/recipient-operations.js';
import type { StoredSession } from '../../../../server/sessions/session-store.js';

const at = (sequence: number, epoch = 'e2') => ({ epoch, sequence });
const message: JudgedMessage = {
  topic: 'news',
  at: 5000,
  epoch: 'e2',
  sequence: 50,
  lineage: { epoch: 'e2', sequence: 100, previous: [at(20, 'e1')] },
  trace: [],
};
const facts = (more: Partial<RecipientFacts> = {}): RecipientFacts => ({
  replica_id: 'a',
  complete_since: 0,
  departed_at: null,
  connections: [],
  past_subscriptions: [],
  past_connections: [],
  pauses: [],
  forbidden_at: null,
  acknowledged: [],
  ...more,
});
const connection = (more: Partial<ConnectionFact> = {}): ConnectionFact => ({
  connection_id: 'c1',
  connected_at: 1000,
  may_subscribe: true,
  subscription: null,
  inbox: null,
  ...more,
});
const subscribed = (start: number, reached: number, more: object = {}) =>
  connection({
    subscription: {
      start: at(start),
      reached: at(reached),
      state: 'live',
      confirmed: null,
      confirmed_at: null,
      ...more,
    },
  });
const session = (more: Partial<StoredSession> = {}): StoredSession => ({
  id: 's1',
  user_id: 'ann',
  topics: { news: at(40) },
  created_at: 0,
  updated_at: 4000,
  ...more,
});
const verdict = (evidence: Partial<Evidence>, of = message) =>
  judge(of, { facts: [facts()], sessions: [], silent: [], ...evidence });
const outcome = (evidence: Partial<Evidence>, of = message) => verdict(evidence, of).outcome;

describe('[WHY] the verdict about a message and a user', () => {
  it('is delivered if the subscription began before it and has reached it, and acknowledged if the client has confirmed so far', () => {
    const live = (start: number, reached: number, more?: object) =>
      outcome({ facts: [facts({ connections: [subscribed(start, reached, more)] })] });
    assert.equal(live(49, 50), 'delivered');
    assert.equal(live(49, 49), 'queued');
    assert.equal(live(50, 60), 'not_subscribed');
    assert.equal(live(10, 60, { confirmed: at(49) }), 'delivered');
    assert.equal(live(10, 60, { confirmed: at(50), confirmed_at: 6000 }), 'acknowledged');
    assert.equal(live(10, 49, { state: 'dropping' }), 'dropped');
    assert.equal(live(10, 49, { state: 'catching_up' }), 'queued');
  });

  it('compares positions of earlier epochs of the same log, and none of another log', () => {
    const from = (start: object) =>
      outcome({ facts: [facts({ connections: [subscribed(0, 60, { start })] })] });
    assert.equal(from(at(15, 'e1')), 'delivered');
    assert.equal(from(at(30, 'e1')), 'unknown', 'that position is not in this log');
    assert.equal(from(at(15, 'other')), 'unknown');
    const joined = subscribed(0, 60, { start: null });
    assert.equal(
      outcome({ facts: [facts({ connections: [joined] })] }),
      'unknown',
      'a program has joined the room',
    );
  });

  it('is paused from and to, while the client reads too slowly and when it has caught up', () => {
    const pause = { connection_id: 'c1', from: at(45), since: 4000, to: null, until: null };
    const slow = verdict({
      facts: [facts({ connections: [subscribed(1, 45, { state: 'catching_up' })], pauses: [pause] })],
    });
    assert.deepEqual([slow.outcome, slow.paused_from, slow.paused_until], ['paused', 4000, null]);
    const over = { ...pause, to: at(80), until: 9000 };
    const late = verdict({ facts: [facts({ connections: [subscribed(1, 90)], pauses: [over] })] });
    assert.deepEqual([late.outcome, late.paused_from, late.paused_until], ['delivered', 4000, 9000]);
    const before = verdict({
      facts: [facts({ connections: [subscribed(1, 90)], pauses: [{ ...over, to: at(49) }] })],
    });
    assert.equal(before.paused_from, undefined);
  });

  it('is dropped where the messages of a gap hold it, also if the subscription goes on', () => {
    const lost = {
      connection_id: 'c1',
      start: at(1),
      reached: at(45),
      lost_to: at(55),
      reason: 'outbox_overflow',
      at: 5500,
    };
    const with_ = (one: object) =>
      outcome({
        facts: [facts({ connections: [subscribed(55, 90)], past_subscriptions: [{ ...lost, ...one }] })],
      });
    assert.equal(with_({}), 'dropped');
    assert.equal(with_({ reached: at(50) }), 'delivered');
    // The oldest that waited were dropped: the subscription goes on from where it began.
    const oldest = { ...lost, start: null };
    assert.equal(
      outcome({ facts: [facts({ connections: [subscribed(1, 90)], past_subscriptions: [oldest] })] }),
      'dropped',
    );
  });

  it('knows connections that have left', () => {
    const past = {
      connection_id: 'c1',
      start: at(1),
      reached: at(60),
      lost_to: null,
      reason: null,
      at: 6000,
    };
    const left = { connection_id: 'c1', connected_at: 1000, left_at: 6000, confirmed: at(40) };
    const ended = (one: object, other: object) =>
      verdict({
        facts: [
          facts({ past_subscriptions: [{ ...past, ...one }], past_connections: [{ ...left, ...other }] }),
        ],
      });
    assert.equal(ended({}, {}).outcome, 'delivered');
    assert.equal(ended({}, { confirmed: at(50) }).outcome, 'acknowledged');
    assert.equal(ended({ reached: at(45) }, {}).outcome, 'offline');
    const before = ended({ reached: at(45), at: 4000 }, { left_at: 4000 });
    assert.deepEqual([before.outcome, before.offline_since], ['offline', 4000]);
    const again = verdict({
      facts: [
        facts({
          connections: [connection({ connected_at: 4500 })],
          past_subscriptions: [{ ...past, reached: at(45), at: 4000 }],
          past_connections: [{ ...left, left_at: 4000 }],
        }),
      ],
    });
    assert.equal(again.outcome, 'not_subscribed');
  });

  it('takes a session whose client is away, if its positions show something', () => {
    const away = verdict({ sessions: [session()] });
    assert.deepEqual([away.outcome, away.offline_since], ['offline', 4000]);
    assert.equal(outcome({ sessions: [session({ reached: { news: at(60) } })] }), 'delivered');
    assert.equal(outcome({ sessions: [session({ topics: { news: at(60) } })] }), 'unknown');
    assert.equal(outcome({ sessions: [session({ topics: { news: at(1, 'other') } })] }), 'unknown');
    assert.equal(outcome({ sessions: [session({ topics: {} })] }), 'unknown');
  });

  it('tells forbidden from not subscribed', () => {
    const idle = facts({ connections: [connection()] });
    assert.equal(outcome({ facts: [idle] }), 'not_subscribed');
    assert.equal(
      outcome({ facts: [facts({ connections: [connection({ may_subscribe: false })] })] }),
      'forbidden',
    );
    assert.equal(outcome({ facts: [{ ...idle, forbidden_at: 10 }] }), 'forbidden');
  });

  it('is unknown, and not negative, where anything is missing', () => {
    const idle = facts({ connections: [connection()] });
    assert.equal(outcome({ facts: [] }), 'unknown');
    assert.equal(outcome({ facts: [idle], silent: ['b'] }), 'unknown');
    assert.equal(outcome({ facts: [], sessions: [session()], silent: ['b'] }), 'unknown');
    assert.equal(outcome({ facts: [idle, facts({ replica_id: 'b', complete_since: 5001 })] }), 'unknown');
    assert.equal(outcome({ facts: [{ ...idle, departed_at: 7000 }] }), 'unknown');
    assert.equal(outcome({ facts: [{ ...idle, departed_at: 4000 }] }), 'not_subscribed');
    // What is known to have arrived stays so.
    assert.equal(
      outcome({ facts: [facts({ connections: [subscribed(1, 60)] })], silent: ['b'] }),
      'delivered',
    );
  });

  it('takes the times of deliveries from the trace, and of acknowledgements from the client', () => {
    const event = (details: object, replica_id = 'a') =>
      ({
        message_id: 'm',
        stage: 'Delivered',
        at: 5100,
        replica_id,
        details,
      }) as JudgedMessage['trace'][number];
    const live = facts({ connections: [subscribed(1, 60)] });
    const when = (trace: JudgedMessage['trace'], of = live) =>
      verdict({ facts: [of] }, { ...message, trace });
    assert.equal(when([event({})]).delivered_at, 5100);
    assert.equal(when([event({}, 'b')]).delivered_at, undefined);
    assert.equal(when([event({ from_log: true, connection_id: 'c2' })]).delivered_at, undefined);
    assert.equal(when([event({ from_log: true, connection_id: 'c1' })]).delivered_at, 5100);
    const acked = when([event({})], { ...live, acknowledged: [{ connection_id: 'c1', at: 5200 }] });
    assert.deepEqual([acked.outcome, acked.acknowledged_at], ['acknowledged', 5200]);
  });
});
