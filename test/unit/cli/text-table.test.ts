import assert from 'node:assert/strict';
import { CliError } from '../../../server/cli/cli-error.js';
import { messageLine } from '../../../server/cli/message-line.js';
import { noteError } from '../../../server/cli/run-command.js';
import { terminal } from '../../../server/cli/terminal.js';
import { jsonLine, printable, printableLines, textTable } from '../../../server/cli/text-table.js';
import { escapeUnseen, escapeUnseenInJson } from '../../../server/logging/log-text.js';

/** What terminals obey: controls, ends of lines, marks of the writing direction, and what can only be invisible. */
const obeyed = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b\ufeff\u{e0001}-\u{e007f}]/u;
const all = Array.from({ length: 0x110000 }, (_, code) => String.fromCodePoint(code)).filter((text) =>
  obeyed.test(text),
);

/** A terminal, and what it has written. */
function recorded(options: { json?: boolean } = {}, environment: NodeJS.ProcessEnv = {}) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY: true,
    write: (text: string) => (written[name] += text),
  });
  return {
    written,
    out: terminal(options, { stdout: stream('stdout'), stderr: stream('stderr') }, environment),
  };
}

describe('[CLI] texts of strangers', () => {
  it('control no terminal and no reader of the log, whatever the character', () => {
    assert.ok(all.length > 2000, `${all.length} characters`);
    for (const one of all) {
      const name = `U+${one.codePointAt(0)!.toString(16)}`;
      const text = `a${one}b`;
      assert.equal(printable(text), 'a\ufffdb', name);
      assert.doesNotMatch(escapeUnseen(text), obeyed, name);
      const line = jsonLine(JSON.stringify({ [text]: text }));
      assert.doesNotMatch(line, obeyed, name);
      assert.deepEqual(JSON.parse(line), { [text]: text }, name);
      assert.deepEqual(JSON.parse(escapeUnseenInJson(JSON.stringify(text))), text, name);
      if (!/[\n\t]/.test(one)) assert.equal(printableLines(text, { colours: true }), 'a\ufffdb', name);
    }
    assert.equal(printable('Grüße 日本 😀'), 'Grüße 日本 😀');
  });

  it('stay in their column, also where a character takes two cells', () => {
    const table = textTable(
      ['USER', 'N'],
      [
        ['ann', 1],
        ['日本語', 2],
        ['a\nroot  9', 3],
        ['e\u0301', 4],
      ],
    );
    assert.deepEqual(table.split('\n'), [
      'USER       N',
      'ann        1',
      '日本語     2',
      'a\ufffdroot  9  3',
      'e\u0301          4',
    ]);
  });

  it('forge no line, and change no colour', () => {
    const forged = 'x\nall well\u001b[8m';
    const { out, written } = recorded();
    out.result({}, () =>
      messageLine(
        {
          id: 'm',
          topic: forged,
          sequence: forged as unknown as number,
          epoch: 'e',
          payload: forged,
          sender: forged,
          timestamp: 0,
        },
        out.paint,
      ),
    );
    assert.equal(written.stdout.split('\n').length, 2, written.stdout);
    assert.doesNotMatch(written.stdout, /\u001b\[8m/);
    const code = noteError(new CliError(`refused: ${forged}: ${forged}`, 1, forged, 'look at it'), out);
    assert.equal(code, 1);
    assert.deepEqual(written.stderr.split('\n'), [
      `refused: ${printable(forged)}: ${printable(forged)}`,
      '  look at it',
      '',
    ]);
  });

  it('are whole in an error as JSON', () => {
    const { out, written } = recorded({ json: true });
    noteError(new CliError('a\nb\u200f', 1, 'c'), out);
    assert.deepEqual(JSON.parse(written.stdout), { error: { code: 'c', message: 'a\nb\u200f' } });
    assert.equal(written.stdout.trimEnd().split('\n').length, 1);
  });
});
