import fc from 'fast-check';

/**
 * Generators of hostile but structured input. They make texts, not values: duplicate keys, `1e400` and a lone
 * surrogate are lost in a value.
 */
type Text = fc.Arbitrary<string>;

/** One of the given arbitraries, by weight. */
export function weighted<Value>(
  ...parts: readonly (readonly [number, fc.Arbitrary<Value>])[]
): fc.Arbitrary<Value> {
  return fc.oneof(...parts.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const strangeTexts = [
  ...[
    '',
    ' ',
    '\0',
    '\n',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '$user/ann',
    '*',
    'a*',
    '../x',
  ],
  ...[
    '\ud800',
    'a\udc00',
    'é',
    '😀',
    'x'.repeat(201),
    'x'.repeat(70_000),
    'null',
    'NaN',
    '-1',
    '1e309',
    '%00',
  ],
  ...['\u202e', '\u009b31m', 'topic:a', '\x1e', 'eyJeyJ.eyJ.eyJ', '/', ','],
];

/** Any text: ordinary, strange, random. */
export const anyText: Text = weighted(
  [4, fc.constantFrom('a', 'news', 't.1', 'ann', 'bob', 'x')],
  [3, fc.constantFrom(...strangeTexts)],
  [1, fc.string({ unit: 'binary', maxLength: 60 })],
);

const numberTexts = [
  ...[
    '0',
    '-0',
    '1',
    '-1',
    '2',
    '100',
    '1000',
    '1001',
    '60001',
    '2147483647',
    '2147483648',
    '9007199254740992',
  ],
  ...[
    '9007199254740993',
    '12345678901234567890',
    '1.5',
    '1e308',
    '1e400',
    '-1e400',
    '5e-324',
    '9'.repeat(400),
  ],
];

const bombs = [
  `${'['.repeat(100)}${']'.repeat(100)}`,
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
  `{${Array.from({ length: 2000 }, (_, n) => `"k${n}":0`).join(',')}}`,
  JSON.stringify('\u0001'.repeat(8000)),
  '{"a":1,"a":2}',
  '{"__proto__":{"x":1}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"toJSON":1,"length":-1}',
  '{"_placeholder":true,"num":0}',
  '{"_placeholder":true,"num":1e9}',
  '{"$base64":"AAEC"}',
  '{"$base64":"!"}',
  '{"$base64":5}',
  '"\\ud800"',
  '{"\\ud800":1,"\\udfff":2}',
];

/** A string in JSON; lone surrogates are escaped. */
export const jsonText: Text = anyText.map((text) => JSON.stringify(text));

export const jsonNumber: Text = fc.constantFrom(...numberTexts);

/** Any value, as JSON text. */
export const anyJson: Text = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 2, arbitrary: fc.constantFrom('null', 'true', 'false', '[]', '{}', '""') },
    { weight: 2, arbitrary: jsonNumber },
    { weight: 3, arbitrary: jsonText },
    { weight: 1, arbitrary: fc.constantFrom(...bombs) },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`) },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.tuple(jsonText, tie('value')), { maxLength: 4 })
        .map((pairs) => `{${pairs.map(([key, value]) => `${key}:${value}`).join(',')}}`),
    },
  ),
})).value;

/** Mostly what is expected, sometimes anything. */
export function mostly(expected: Text, strange: Text = anyJson): Text {
  return weighted([8, expected], [1, strange]);
}

/** An object with some of the given fields in any order, and sometimes a field twice or an unknown one. */
export function objectOf(fields: Readonly<Record<string, Text>>): Text {
  const names = Object.keys(fields);
  const present = fc.tuple(
    ...names.map((name) => fc.tuple(fc.constant(name), fields[name]!, fc.integer({ min: 0, max: 9 }))),
  );
  const more = weighted<readonly (readonly [string, string])[]>(
    [9, fc.constant([])],
    [
      1,
      fc.array(fc.tuple(weighted([3, fc.constantFrom('x', ...names)], [1, anyText]), anyJson), {
        maxLength: 2,
      }),
    ],
  );
  return fc.tuple(present, more).map(([given, unknown]) => {
    // Most fields are there; the number also gives the order.
    const kept = given.filter(([, , n]) => n < 8).sort((a, b) => a[2] - b[2]);
    const pairs = [...kept.map(([name, value]) => [name, value] as const), ...unknown];
    return `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
  });
}

/** A small change of a text. */
interface Edit {
  readonly at: number;
  readonly kind: 'delete' | 'insert' | 'replace' | 'repeat';
  readonly what: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(1_000_000),
  kind: fc.constantFrom('delete', 'insert', 'replace', 'repeat'),
  what: fc.constantFrom(
    '"',
    '\\',
    '[',
    '{',
    '}',
    '\x1e',
    '999999999',
    '-',
    ',',
    '\xff',
    '\0',
    'é',
    '\xed\xa0\x80',
  ),
});

/** Bytes, one per character, with a few changes. */
export function damaged(text: Text): Text {
  return fc.tuple(text, fc.array(edit, { minLength: 1, maxLength: 4 })).map(([given, edits]) => {
    let bytes = utf8(given);
    for (const { at, kind, what } of edits) {
      const place = at % (bytes.length + 1);
      const rest = bytes.slice(place);
      bytes =
        bytes.slice(0, place) +
        {
          delete: rest.slice(1 + (at % 8)),
          insert: what + rest,
          replace: what + rest.slice(1),
          repeat: rest + rest,
        }[kind];
    }
    return bytes.slice(0, 100_000);
  });
}

/** The UTF-8 bytes of a text, one per character. */
export function utf8(text: string): string {
  return Buffer.from(text).toString('latin1');
}
