import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { checkJsonCost } from '../../../server/protocol/json-cost.js';

describe('[LIMITS] JSON text that is costly to read', () => {
  const refusalOf = (text: string): unknown => {
    try {
      checkJsonCost(text);
      return undefined;
    } catch (error) {
      assert.ok(error instanceof RefusalError);
      return [error.code, error.details.limit];
    }
  };
  const list = (count: number, item: string) => `[${Array.from({ length: count }, () => item).join(',')}]`;

  it('is refused if it is nested without end, whether it is complete or not', () => {
    for (const open of ['[', '{"a":', '[{"a":', '[ '])
      assert.deepEqual(refusalOf(open.repeat(20_000)), ['invalid_payload', undefined], open);
    assert.equal(refusalOf(`${'['.repeat(1000)}"${'x'.repeat(20_000)}"${']'.repeat(1000)}`), undefined);
    assert.equal(refusalOf(list(10_000, '[]')), undefined, 'side by side');
  });

  it('is refused if it holds very many values for its size', () => {
    for (const item of ['{}', '[]', '1', '""', 'null']) {
      assert.equal(refusalOf(list(16_000, item)), undefined, item);
      assert.deepEqual(refusalOf(list(40_000, item)), ['invalid_payload', 32_768], item);
    }
    const keys = Array.from({ length: 90_000 }, (_, n) => `"${n}":0`);
    assert.deepEqual(refusalOf(`{${keys.join(',')}}`), ['invalid_payload', 55_555]);
    assert.equal(refusalOf(list(90_000, '"sixteen letters."')), undefined, 'values that are not short');
  });

  it('is not what looks like it inside strings', () => {
    for (const text of ['[', '{', ',', '\\"[', '\\\\\\"[{,'])
      assert.equal(refusalOf(`["${text.repeat(100_000)}","${text.repeat(100_000)}"]`), undefined, text);
    assert.equal(refusalOf(`["${'[,'.repeat(100_000)}`), undefined, 'a string that does not end');
    assert.deepEqual(refusalOf(`["\\\\",${'['.repeat(20_000)}`), ['invalid_payload', undefined]);
  });
});
