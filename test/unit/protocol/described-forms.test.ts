import assert from 'node:assert/strict';
import fc from 'fast-check';
import { z } from 'zod';
import { isTopicPattern, readTopicName, topicNameLimit } from '../../../shared/topic-name.js';
import { topicPatternField } from '../../../server/admin/tokens/token-routes.js';
import { idempotencyKey, idempotencyKeyForm } from '../../../server/http/idempotency-key.js';
import { schemaOf } from '../../../server/http/openapi/json-schema.js';
import { keyField, topicField } from '../../../server/protocol/request-fields.js';

/** What a reader of the OpenAPI document takes for valid. */
function described(schema: z.ZodType): (text: string) => boolean {
  const { pattern, minLength, maxLength } = schemaOf(schema, 'input') as {
    readonly pattern: string;
    readonly minLength: number;
    readonly maxLength: number;
  };
  const form = new RegExp(pattern, 'u');
  return (text) => form.test(text) && text.length >= minLength && text.length <= maxLength;
}

const isRead = (read: () => unknown): boolean => {
  try {
    read();
    return true;
  } catch {
    return false;
  }
};

const special = fc.constantFrom(
  '',
  '__proto__',
  '$user/ann',
  'a\u2028b',
  '*',
  'ä',
  '😀',
  'a\n',
  '\u007f',
  '"a"',
  '"',
  '"a";p=1',
  '"a\\"b"',
);
const text = fc.oneof(
  special,
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: fc.constantFrom(...'ab/.:@~-_*$"\\ ;'), maxLength: 8 }),
  fc.integer({ min: topicNameLimit - 1, max: topicNameLimit + 1 }).map((length) => 'x'.repeat(length)),
);

describe('[HTTP] the forms in the OpenAPI documents', () => {
  it('of topics, patterns of topics, names and quoted keys are the rules that the service has', () => {
    const forms: readonly (readonly [form: (text: string) => boolean, rule: (text: string) => boolean])[] = [
      [described(topicField), (value) => isRead(() => readTopicName(value, 'topic'))],
      [described(topicPatternField), isTopicPattern],
      [described(keyField), (value) => keyField.safeParse(value).success],
      [
        (value) => new RegExp(idempotencyKeyForm, 'u').test(value),
        (value) => value.startsWith('"') && isRead(() => idempotencyKey(value)),
      ],
    ];
    fc.assert(
      fc.property(text, (value) => {
        for (const [i, [form, rule]] of forms.entries()) assert.equal(form(value), rule(value), `form ${i}`);
      }),
      { numRuns: 2000 },
    );
  });
});
