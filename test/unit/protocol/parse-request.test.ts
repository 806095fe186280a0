import assert from 'node:assert/strict';
import { z } from 'zod';
import { RefusalError, type WireError } from '../../../shared/errors.js';
import { limitField, reasonField } from '../../../server/admin/schemas.js';
import { parseRequest } from '../../../server/protocol/parse-request.js';
import {
  confirmField,
  keyField,
  positionField,
  timeoutField,
  topicsField,
  traceField,
} from '../../../server/protocol/request-fields.js';

/** Fields of every kind that requests have. */
const schema = z
  .strictObject({
    payload: z.unknown(),
    topics: topicsField.optional(),
    topic: z.string().optional(),
    since: z.record(z.string(), positionField).optional(),
    since_id: z.uuid().optional(),
    session_id: z.string().min(1).max(100).nullish(),
    key: keyField.optional(),
    confirm: confirmField.optional(),
    type: z.literal('SystemNotification').default('SystemNotification'),
    timeout_ms: timeoutField.optional(),
    timestamp: z.number().optional(),
    trace: traceField.optional(),
    limit: limitField(100, 1000),
    reason: reasonField,
    patterns: z
      .array(z.string().refine((text) => text !== '', 'must be a topic name or pattern'))
      .max(1)
      .optional(),
    data: z.strictObject({ message: z.string().min(1) }).optional(),
  })
  .refine(({ key, topic }) => key === undefined || topic === undefined, { error: 'give key or topic' });

function refusalOf(request: unknown): WireError {
  try {
    parseRequest(schema, request);
  } catch (error) {
    assert.ok(error instanceof RefusalError);
    return error.toWire();
  }
  throw new Error(`the request was accepted: ${JSON.stringify(request)}`);
}

describe('[WIRE] a request that is refused', () => {
  const position = { epoch: 'e', sequence: 1 };
  const timeoutRule = 'timeout_ms: must be a whole number from 1 to 60000';
  const limitRule = 'limit: must be a whole number from 1 to 1000';
  const topicsRule = 'topics: must be a list of 1 to 100 names';
  const keyRule = 'key: must be a string of 1 to 200 characters';
  const cases: [fields: object, message: string, field?: string, limit?: number][] = [
    [{ topics: 'news' }, topicsRule],
    [{ topics: [] }, topicsRule, 'topics', 1],
    [{ topics: Array.from({ length: 101 }, () => 'a') }, topicsRule, 'topics', 100],
    [{ topics: ['a', 5] }, 'topics[1]: must be a string', 'topics[1]'],
    [{ since: 'now' }, 'since: must be an object'],
    [{ since: { news: 5 } }, 'since.news: must be an object', 'since.news'],
    [{ since: { news: { epoch: 'e' } } }, 'since.news.sequence: is required', 'since.news.sequence'],
    [
      { since: { news: { ...position, epoch: '' } } },
      'since.news.epoch: must be a string of 1 to 64 characters',
      'since.news.epoch',
      1,
    ],
    [
      { since: { news: { ...position, sequence: -1 } } },
      'since.news.sequence: must be a whole number of at least 0',
      'since.news.sequence',
      0,
    ],
    [
      { since: { news: { ...position, sequenc: 1 } } },
      'unknown field since.news.sequenc',
      'since.news.sequenc',
    ],
    [{ since_id: 'last' }, 'since_id: must be a UUID'],
    [{ since_id: 5 }, 'since_id: must be a UUID'],
    [{ session_id: '' }, 'session_id: must be a string of 1 to 100 characters', 'session_id', 1],
    [{ key: '' }, keyRule, 'key', 1],
    [{ key: 'k'.repeat(201) }, keyRule, 'key', 200],
    [{ key: 5 }, keyRule],
    [{ confirm: 'read' }, 'confirm: must be "stored" or "delivered"'],
    [{ type: 'Other' }, 'type: must be "SystemNotification"'],
    [{ timeout_ms: 0 }, timeoutRule, 'timeout_ms', 1],
    [{ timeout_ms: 60_001 }, timeoutRule, 'timeout_ms', 60_000],
    [{ timeout_ms: 1.5 }, timeoutRule],
    [{ timeout_ms: '10' }, timeoutRule],
    [{ timestamp: 'now' }, 'timestamp: must be a number'],
    [{ trace: 'yes' }, 'trace: must be true or false'],
    [{ limit: 'all' }, limitRule],
    [{ limit: '1.5' }, limitRule],
    [{ limit: '1001' }, limitRule, 'limit', 1000],
    [{ reason: 'r'.repeat(501) }, 'reason: must be a string of at most 500 characters', 'reason', 500],
    [{ patterns: [''] }, 'patterns[0]: must be a topic name or pattern', 'patterns[0]'],
    [{ patterns: ['a', 'b'] }, 'patterns: must be a list of at most 1 item', 'patterns', 1],
    [{ data: {} }, 'data.message: is required', 'data.message'],
    [{ data: { message: '' } }, 'data.message: must be a string of at least 1 character', 'data.message', 1],
    [{ tracing: true }, 'unknown field tracing; did you mean trace?', 'tracing'],
  ];
  for (const [fields, message, field = Object.keys(fields)[0]!, limit] of cases) {
    it(`names the field and its whole rule: ${message} (${JSON.stringify(fields).slice(0, 60)})`, () => {
      const expected = { code: 'invalid_message', message, field, ...(limit !== undefined && { limit }) };
      assert.deepEqual(refusalOf({ payload: 1, ...fields }), expected);
    });
  }

  it('is not refused for null in a field that may be absent, at any depth', () => {
    const request = parseRequest(schema, {
      payload: null,
      topics: null,
      topic: null,
      since: null,
      session_id: null,
      key: null,
      confirm: null,
      type: null,
      timeout_ms: null,
      timestamp: null,
      trace: null,
      limit: null,
      reason: null,
    });
    assert.deepEqual(request, { payload: null, session_id: null, type: 'SystemNotification', limit: 100 });
    const inner = z.strictObject({ level: z.enum(['info', 'error']).default('info'), message: z.string() });
    const outer = z.strictObject({ data: inner.optional(), users: z.array(z.string()).optional() });
    assert.deepEqual(parseRequest(outer, { data: { level: null, message: 'm' }, users: null }), {
      data: { level: 'info', message: 'm' },
    });
    assert.throws(() => parseRequest(outer, { data: { message: null } }), /data.message: must be a string/);
    assert.throws(() => parseRequest(outer, { unknown: null }), /unknown field unknown/);
  });

  it('names a key with control characters or lone surrogates', () => {
    for (const key of ['\ud800', 'a\udc00b', '\u0000', 'a\n', '\u009f', '\u2029'])
      assert.deepEqual(refusalOf({ payload: 1, key }), {
        code: 'invalid_message',
        message: 'key: must not hold control characters or lone surrogates',
        field: 'key',
      });
    // Names are compared as they are: these two are different.
    for (const key of ['é', 'e\u0301', '😀', '\u202e']) parseRequest(schema, { payload: 1, key });
  });

  it('names a field that is missing', () => {
    assert.deepEqual(refusalOf({}), {
      code: 'invalid_message',
      message: 'payload: is required',
      field: 'payload',
    });
  });

  it('has no field where the request as a whole is wrong', () => {
    for (const request of ['text', 5, [], null])
      assert.equal(refusalOf(request).message, 'the request: must be an object');
    assert.equal(refusalOf({ payload: 1, key: 'k', topic: 't' }).message, 'the request: give key or topic');
  });
});
