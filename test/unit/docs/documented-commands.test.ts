import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { CommandRunner, readBlocks } from '../../support/documented-commands.js';

const fenced = (language: string, code: string) => ['```' + language, code, '```'].join('\n');

describe('[OPS] commands of a document', () => {
  it('are read with their marks, line and section', () => {
    const page = [
      '# Page',
      '## One',
      '<!-- run: exit 1 -->',
      '<!-- run: expect a b -->',
      '',
      fenced('bash', 'false'),
      '### Two',
      '<!-- not run: it needs root -->',
      fenced('bash', 'reboot'),
      fenced('toml', 'not = "looked at"'),
    ].join('\n');
    assert.deepEqual(readBlocks(page), [
      {
        language: 'bash',
        code: 'false',
        line: 6,
        section: 'One',
        mark: { expected: { exit: 1, output: [/a b/m], until: undefined } },
      },
      { language: 'bash', code: 'reboot', line: 11, section: 'One: Two', mark: { notRun: 'it needs root' } },
    ]);
  });

  it('must have a valid mark directly before them', () => {
    const wrong: [string, RegExp][] = [
      [fenced('bash', 'ls'), /line 1: the block has no mark/],
      [fenced('js', '1'), /has no mark/],
      [fenced('sh', 'ls'), /write bash or js/],
      [`<!-- run: expects x -->\n${fenced('bash', 'ls')}`, /invalid mark "run: expects x"/],
      [`<!-- run: exit 0 -->\ntext\n${fenced('bash', 'ls')}`, /directly before its block/],
      [`<!-- run: exit 0 -->\n${fenced('toml', 'a = 1')}`, /not executed/],
      ['```bash\nls', /does not end/],
    ];
    for (const [page, message] of wrong) assert.throws(() => readBlocks(page), message);
  });

  it('fail on an unexpected result, and are ended when they hang', async () => {
    const runner = new CommandRunner({
      directory: tmpdir(),
      environment: { PATH: process.env['PATH'] },
      preamble: 'NAME=world',
      limitMs: 500,
    });
    const check = (code: string, ...marks: string[]) => {
      const [block] = readBlocks(
        [...marks.map((mark) => `<!-- run: ${mark} -->`), fenced('bash', code)].join('\n'),
      );
      assert.ok(typeof block!.mark === 'object' && 'expected' in block!.mark);
      return runner.check(block!, block!.mark.expected);
    };
    await check('echo "hello $NAME"', 'expect ^hello world$');
    await check('echo to the other stream >&2; exit 3', 'exit 3', 'expect other');
    await assert.rejects(check('echo bye', 'expect hello'), /does not match[\s\S]*bye/);
    await assert.rejects(check('exit 2', 'exit 0'), /ended with 2/);
    await assert.rejects(check('echo never', 'until ever and ever'), /does not match/);
    await assert.rejects(check('sleep 60', 'exit 0'), /ended with null/);
    // Background processes are ended with it.
    await check('sleep 60 & echo $!', 'expect ^\\d+$');
  });
});
