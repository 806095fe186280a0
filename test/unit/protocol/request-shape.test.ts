import assert from 'node:assert/strict';
import { z } from 'zod';
import { RefusalError, type WireError } from '../../../shared/errors.js';
import { parseRequest } from '../../../server/protocol/parse-request.js';
import { positionField, topicsField } from '../../../server/protocol/request-fields.js';
import { boundedRecord } from '../../../server/protocol/request-shape.js';
import { counted } from '../../support/counted-reads.js';

let looks = 0;
/** Counts the values that the schema looks at. */
const seen = z.unknown().refine(() => ++looks > 0);

const schema = z.strictObject({
  topics: topicsField.optional(),
  any: z.array(seen).optional(),
  positions: boundedRecord(positionField, 2000).optional(),
  seen: boundedRecord(seen, 2000).optional(),
  inner: z.strictObject({ list: z.array(seen).max(5).optional() }).optional(),
});

function refusalOf(request: unknown): WireError {
  try {
    parseRequest(schema, request);
  } catch (error) {
    assert.ok(error instanceof RefusalError);
    return error.toWire();
  }
  throw new Error('the request was accepted');
}

const many = <Value>(value: Value) =>
  Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, value]));

describe('[L9] a request with 100,000 of something', () => {
  beforeEach(() => (looks = 0));

  it('is refused by the number of its entries without a look at one', () => {
    for (const [field, content] of Object.entries({ positions: many(0), seen: many({}) })) {
      const { value, reads } = counted(content);
      const message = `${field}: must be an object of at most 2000 entries`;
      assert.deepEqual(refusalOf({ [field]: value }), {
        code: 'invalid_message',
        message,
        field,
        limit: 2000,
      });
      assert.equal(reads(), 0);
    }
    assert.equal(looks, 0);
  });

  it('is refused by the number of its items without a look at one', () => {
    const items = Array.from({ length: 100_000 }, () => 0);
    const cases: [request: object, field: string, limit: number, message: string][] = [
      [{ topics: items }, 'topics', 100, 'topics: must be a list of 1 to 100 names'],
      [{ any: items }, 'any', 1000, 'any: must be a list of at most 1000 items'],
      [{ inner: { list: items } }, 'inner.list', 5, 'inner.list: must be a list of at most 5 items'],
    ];
    for (const [request, field, limit, message] of cases)
      assert.deepEqual(refusalOf(request), { code: 'invalid_message', message, field, limit });
    assert.equal(looks, 0);
  });

  it('is refused by the number of its unknown fields, at any level', () => {
    const { value, reads } = counted(many(0));
    const rule = 'has more than 100 unknown fields';
    assert.equal(refusalOf(value).message, `the request: ${rule}`);
    assert.equal(refusalOf({ inner: value }).message, `inner: ${rule}`);
    assert.equal(refusalOf({ positions: { a: value } }).message, `positions.a: ${rule}`);
    assert.equal(reads(), 0);
  });

  it('is accepted where each is within its limit', () => {
    const positions = Object.fromEntries(
      Array.from({ length: 2000 }, (_, i) => [`k${i}`, { epoch: 'e', sequence: i }]),
    );
    assert.deepEqual(parseRequest(schema, { positions }), { positions });
  });
});

describe('[L9] a request with many problems', () => {
  it('has one of them put into words', () => {
    let worded = 0;
    const words = z.strictObject({
      list: z.array(z.string({ error: () => `problem ${++worded}` })).max(100),
    });
    const list = Array.from({ length: 100 }, () => 0);
    assert.throws(() => parseRequest(words, { list }), { message: 'list[0]: problem 1' });
    assert.equal(worded, 1);
  });

  it('does not get back the whole of a long key', () => {
    assert.ok(refusalOf({ ['k'.repeat(100_000)]: 1 }).message.length < 300);
    assert.ok(refusalOf({ positions: { ['k'.repeat(100_000)]: 0 } }).message.length < 300);
  });
});
