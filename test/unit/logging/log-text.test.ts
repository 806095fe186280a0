import assert from 'node:assert/strict';
import { cleanText, cutText, escapeUnseen, escapeUnseenInJson } from '../../../server/logging/log-text.js';

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';

/** Milliseconds of processor time of the fastest of several runs: other processes do not count. */
function fastest(run: () => void): number {
  let best = Infinity;
  for (let n = 0; n < 5; n++) {
    const start = process.cpuUsage();
    run();
    best = Math.min(best, process.cpuUsage(start).user / 1000);
  }
  return best;
}

describe('[LOG] texts', () => {
  it('lose a token wherever it stands, and nothing else', () => {
    const cases: [text: string, cleaned: string][] = [
      [`GET /ws?token=${token}&x=1`, 'GET /ws?token=[redacted]&x=1'],
      [`Bearer%20${token}`, 'Bearer%20[redacted]'],
      [`x${token}`, 'x[redacted]'],
      [`a.${token}`, 'a.[redacted]'],
      [`eyJ.a.${token}`, 'eyJ.a.[redacted]'],
      [`${token} and ${token}`, '[redacted] and [redacted]'],
      [`${token}.more.text`, '[redacted].more.text'],
      ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.', '[redacted]'],
      ['eyJ eyJa.b eyJa..b. eyJ.b.c', 'eyJ eyJa.b eyJa..b. eyJ.b.c'],
      ['redis://user:secret@host:1/0', 'redis://[redacted]@host:1/0'],
    ];
    for (const [text, cleaned] of cases) assert.equal(cleanText(text), cleaned);
  });

  it('are cleaned in time that grows like their length, whatever they repeat', () => {
    for (const part of ['eyJ', 'eyJa.', 'eyJa.b.', 'a.', '://', 'a://', 'a://b@', '\u0000', '\ud800'])
      for (const clean of [cleanText, escapeUnseen, escapeUnseenInJson]) {
        const text = part.repeat(2000);
        const once = fastest(() => clean(text));
        const twentyTimes = fastest(() => clean(text.repeat(20)));
        // Quadratic growth would be four hundredfold. Short times are measured badly.
        const limitMs = 200 * Math.max(once, 0.5);
        assert.ok(
          twentyTimes < limitMs,
          `${part}: ${once} ms, and ${twentyTimes} ms for twenty times the length`,
        );
      }
  });

  it('are cut with the number of characters that are missing', () => {
    assert.equal(cutText('abcdef', 6), 'abcdef');
    assert.equal(cutText('abcdefgh', 6), 'abcdef… (2 more characters)');
  });

  it('show what a terminal or an editor would obey', () => {
    assert.equal(
      escapeUnseen('a\nb\u001b[31m\u009b\u202e\u2066\ud800\u{e0041}'),
      'a\\u{a}b\\u{1b}[31m\\u{9b}\\u{202e}\\u{2066}\\u{d800}\\u{e0041}',
    );
    assert.equal(escapeUnseen('Grüße 日本 😀'), 'Grüße 日本 😀');
  });

  it('stay the same JSON when they are escaped', () => {
    const value = { text: 'a\u009b\u202e\u2028\u{e0041}\ud800 😀', ['\u202ekey']: 1 };
    const line = escapeUnseenInJson(`${JSON.stringify(value)}\n`);
    assert.ok(line.endsWith('}\n'));
    assert.doesNotMatch(line.slice(0, -1), /[^ -~😀]/u);
    assert.deepEqual(JSON.parse(line), value);
  });
});
