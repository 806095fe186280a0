import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RefusalError } from '../../../shared/errors.js';
import {
  ExactNumber,
  exactTwin,
  parseExactly,
  parseStored,
  stringify,
  withExactNumbers,
} from '../../../server/protocol/exact-json.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** Numbers that JavaScript would change. */
const lossy = fc.oneof(
  fc
    .bigInt({ min: 2n ** 53n + 1n, max: 2n ** 200n })
    .map(String)
    .filter((text) => String(Number(text)) !== text),
  fc.constantFrom(
    '-0',
    '-0.0',
    '-0e5',
    '1e400',
    '-1E999',
    '1e-400',
    '0.12345678901234567890',
    '9007199254740993',
  ),
);
/** A JSON text with its value, as JavaScript has it. */
const spaces = fc.constantFrom('', ' ', '\n', '\t ', '\r\n');
const key = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('__proto__', 'constructor', 'toJSON', '', '1', 'a"b\\'),
);
const text = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      lossy,
      fc.double().map((n) => JSON.stringify(n)),
      fc.integer().map((n) => `${n}.0`),
      fc.string({ unit: 'binary' }).map((value) => JSON.stringify(value)),
      fc.constantFrom('true', 'false', 'null', '"\\u0041\\/\\ud800"', '1E2', '[]', '{}'),
    ),
    fc
      .tuple(spaces, fc.array(tie('value'), { maxLength: 4 }))
      .map(([gap, items]) => `[${gap}${items.join(`${gap},`)}${gap}]`),
    fc
      .tuple(
        spaces,
        fc.uniqueArray(fc.tuple(key, tie('value')), { maxLength: 4, selector: ([name]) => name }),
      )
      .map(
        ([gap, fields]) =>
          `{${gap}${fields.map(([name, value]) => `${JSON.stringify(name)}${gap}:${gap}${value}`).join(',')}}`,
      ),
  ),
}));

const refusalOf = (source: string): RefusalError => {
  try {
    parseExactly(source);
  } catch (error) {
    assert.ok(error instanceof RefusalError, String(error));
    return error;
  }
  throw new Error(`accepted: ${source}`);
};

describe(`[PAY] JSON text with numbers that JavaScript cannot hold (seed ${seed})`, () => {
  it('is read as JavaScript reads it, but for those numbers', () => {
    fc.assert(
      fc.property(text.value, (source) => {
        const value: unknown = JSON.parse(source);
        const exact = parseExactly(source);
        // Rounded, it is what JavaScript reads.
        assert.equal(JSON.stringify(exact), JSON.stringify(value));
        // Written, nothing has changed, however often it is read.
        const written = stringify(exact);
        assert.equal(stringify(parseExactly(written)), written);
        assert.equal(stringify(withExactNumbers(value, exactTwin(source, value))), written);
      }),
      { seed, numRuns: 500 },
    );
  });

  it('is read from the log as it is read from a client', () => {
    fc.assert(
      fc.property(text.value, lossy, (source, number) => {
        for (const value of [source, number, `[1,${number}]`]) {
          const stored = `{"sequence":1,"payload":${value}}`;
          assert.equal(stringify(parseStored(stored)), stringify(parseExactly(stored)));
        }
      }),
      { seed, numRuns: 500 },
    );
  });

  it('keeps each such number as it was written, and no other', () => {
    fc.assert(
      fc.property(lossy, (number) => {
        assert.equal(stringify(parseExactly(`{"a":[${number}]}`)), `{"a":[${number}]}`);
      }),
      { seed },
    );
    const held = [
      '0',
      '1',
      '-1',
      '1.0',
      '1E2',
      '0.0',
      '1e-5',
      '9007199254740991',
      '123456789012345',
      '1e300',
      '0.1',
    ];
    for (const number of [...held, String(Math.random()), String(2 ** 70)])
      assert.equal(typeof (parseExactly(`[${number} ]`) as unknown[])[0], 'number', number);
  });

  it('is refused with a key twice in one object, however it is spelled', () => {
    for (const source of [
      '{"a":1,"a":2}',
      '[{"b":{"a":1,"\\u0061":1}}]',
      '{"__proto__":1,"__proto__":2}',
      '{"":1, "":1}',
      '[1e400,{"a":1,"a":2}]',
    ])
      assert.equal(refusalOf(source).code, 'invalid_json', source);
    parseExactly('[{"a":1},{"a":2, "b":{"a":3}}]');
  });

  it('is refused with a number of more than 100 characters, and where it is nested without end', () => {
    assert.deepEqual(refusalOf(`[${'9'.repeat(101)}]`).details, { limit: 100, size: 101 });
    parseExactly(`[${'9'.repeat(100)}]`);
    const deep = 50_000;
    assert.equal(refusalOf(`${'['.repeat(deep)} ${']'.repeat(deep)}`).code, 'invalid_payload');
  });

  it('leaves a value that a program has changed as the program left it', () => {
    const twin = parseExactly('{"a":9007199254740993,"b":[1e400]}');
    assert.equal(stringify(withExactNumbers({ a: 5, b: [Infinity] }, twin)), '{"a":5,"b":[1e400]}');
    assert.equal(
      stringify(withExactNumbers({ a: 'x', c: Buffer.from('y').length }, twin)),
      '{"a":"x","c":1}',
    );
  });

  it('is written rounded by JavaScript itself', () => {
    assert.equal(
      JSON.stringify([new ExactNumber('9007199254740993'), new ExactNumber('1e400')]),
      '[9007199254740992,null]',
    );
  });
});
