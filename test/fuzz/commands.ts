import fc from 'fast-check';
import { anyJson, anyText, jsonNumber, jsonText, mostly, objectOf, weighted } from './generators.js';
import { expiredToken, tokenOf } from './tokens.js';

type Text = fc.Arbitrary<string>;

const text = (...values: readonly unknown[]): Text =>
  fc.constantFrom(...values.map((value) => JSON.stringify(value)));

const topicText = mostly(weighted([6, text('a', 'news', 't.1', 'live/x')], [1, jsonText]));
const uuids = ['00000000-0000-7000-8000-000000000000', 'ffffffff-ffff-7fff-bfff-ffffffffffff', 'not-a-uuid'];
const positionText = mostly(objectOf({ epoch: jsonText, sequence: jsonNumber }));
const positionsText = fc
  .array(fc.tuple(topicText, positionText), { maxLength: 4 })
  .map(
    (pairs) =>
      `{${pairs.map(([topic, position]) => `${topic.startsWith('"') ? topic : '"a"'}:${position}`).join(',')}}`,
  );
/** Short, because a check waits for the answers. */
const timeoutText = mostly(fc.constantFrom('1', '5', '20'), text(null, '5', -1, 1.5));

/** Tokens: valid ones, of others, expired, damaged. */
export const tokenText: Text = weighted(
  [4, text(tokenOf('ann'))],
  [1, text(tokenOf('bob'))],
  [1, text(expiredToken('ann'))],
  [1, text('', 'a.b.c', `${tokenOf('ann')}x`, 'eyJ'.repeat(2000))],
  [1, jsonText],
);

/** The fields of each command, each as an arbitrary that is mostly valid. */
const fields: Readonly<Record<string, Readonly<Record<string, Text>>>> = {
  subscribe: {
    topics: mostly(fc.array(topicText, { maxLength: 5 }).map((topics) => `[${topics.join(',')}]`)),
    since: mostly(positionsText),
    presence: mostly(text(true, false)),
  },
  unsubscribe: {
    topics: mostly(fc.array(topicText, { maxLength: 5 }).map((topics) => `[${topics.join(',')}]`)),
  },
  publish: {
    topic: topicText,
    payload: anyJson,
    key: mostly(jsonText),
    confirm: mostly(text('stored', 'delivered')),
    timeout_ms: timeoutText,
    trace: mostly(text(true, false)),
  },
  direct: {
    to: mostly(text('ann', 'bob', 'nobody')),
    payload: anyJson,
    key: mostly(jsonText),
    confirm: mostly(text('stored', 'delivered')),
    timeout_ms: timeoutText,
  },
  history: { topic: topicText, since: mostly(positionText), limit: mostly(jsonNumber) },
  missed: { since: mostly(text(...uuids)), session_id: mostly(jsonText) },
  presence: { topic: topicText },
  refresh: { token: mostly(tokenText) },
  ping: { timestamp: mostly(jsonNumber) },
};

/** The request of a command. */
export function requestOf(command: string): Text {
  const known = fields[command];
  return known === undefined ? anyJson : mostly(objectOf(known));
}

/** A command and its request. */
export const commandAndRequest: fc.Arbitrary<readonly [command: string, request: string]> = weighted(
  [9, fc.constantFrom(...Object.keys(fields))],
  [
    1,
    weighted(
      [
        1,
        fc.constantFrom(
          'disconnect',
          'connect',
          'connect_error',
          'error',
          'newListener',
          'message',
          'status',
        ),
      ],
      [1, anyText],
    ),
  ],
).chain((command) => requestOf(command).map((request) => [command, request] as const));

/** What a Socket.IO client sends when it joins: `auth`. */
export const authText: Text = weighted(
  [6, text({ token: tokenOf('ann') }, { token: tokenOf('bob') })],
  [
    3,
    fc
      .tuple(positionsText, mostly(jsonText))
      .map(
        ([positions, session]) =>
          `{"token":${JSON.stringify(tokenOf('ann'))},"positions":${positions},"session_id":${session}}`,
      ),
  ],
  [2, objectOf({ token: tokenText, positions: mostly(positionsText), session_id: mostly(jsonText) })],
  [1, anyJson],
);
