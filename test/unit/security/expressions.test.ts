import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import ts from 'typescript';
import { root } from '../../support/root.js';

// The checker would otherwise start a program of its own.
process.env['RECHECK_SYNC_BACKEND'] = 'pure';
// eslint-disable-next-line @typescript-eslint/no-require-imports
const { checkSync } = require('recheck') as typeof import('recheck');

/** Found linear by the same check, which takes ten seconds and more for each. A changed expression is checked again. */
const foundLinear: readonly string[] = [
  String.raw`^("id":"[^"]*",)"topic":"[^"]*",("sender":(?:null|"(?:[^"\\]|\\.)*"),"timestamp":\d+,)(?:"confirm":true,)?`,
  String.raw`^--- @include "([^"\n]+)"$`,
];

interface Expression {
  readonly place: string;
  readonly source: string;
  readonly flags: string;
}

/** Every regular expression that is written in a file. */
function expressionsOf(path: string): Expression[] {
  const text = readFileSync(path, 'utf8');
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: Expression[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/');
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      found.push({
        place: `${relative(root, path)}:${line + 1}`,
        source: node.text.slice(1, end),
        flags: node.text.slice(end + 1),
      });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function complexityOf({ source, flags }: Pick<Expression, 'source' | 'flags'>): string {
  const result = checkSync(source, flags, { checker: 'automaton', timeout: null });
  return result.status === 'safe'
    ? 'linear'
    : result.status === 'vulnerable'
      ? result.complexity.summary
      : 'unknown';
}

describe('[SECURITY] regular expressions', () => {
  it('are checked by a tool that finds more than linear cost, also where no start of a text matches', () => {
    assert.notEqual(complexityOf({ source: String.raw`eyJ[\w-]+\.[\w-]+`, flags: 'g' }), 'linear');
    assert.notEqual(complexityOf({ source: '(a+)+$', flags: '' }), 'linear');
    assert.equal(complexityOf({ source: String.raw`eyJ[\w.-]*`, flags: 'g' }), 'linear');
  });

  it('are not made while the service runs, where the check would not see them', () => {
    const made = ['server', 'shared']
      .flatMap(sourceFiles)
      .filter((path) => /\bRegExp\(/.test(readFileSync(path, 'utf8')))
      .map((path) => relative(root, path));
    assert.deepEqual(made, []);
  });

  const expressions = ['server', 'shared'].flatMap(sourceFiles).flatMap(expressionsOf);
  const areaOf = ({ place }: Expression) => place.split(sep).slice(0, 2).join('/').replace(/:.*/, '');

  it('are found', () => {
    assert.ok(expressions.length > 20);
    for (const source of foundLinear)
      assert.ok(
        expressions.some((expression) => expression.source === source),
        `still there: ${source}`,
      );
  });

  // A test for each folder: the check takes up to seconds for one expression.
  describe('of the service take linear time on any text', () => {
    for (const area of new Set(expressions.map(areaOf)))
      it(area, () => {
        const slow = expressions
          .filter((expression) => areaOf(expression) === area && !foundLinear.includes(expression.source))
          .map((expression) => ({ ...expression, complexity: complexityOf(expression) }))
          .filter(({ complexity }) => complexity !== 'linear');
        assert.deepEqual(slow, []);
      });
  });
});
