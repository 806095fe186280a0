import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorTable } from '../../../shared/errors.js';
import { root } from '../../support/root.js';

const page = (name: string) => readFileSync(join(root, 'docs', name), 'utf8');

describe('[DOCS] the documentation', () => {
  it('lists exactly the error codes of the code, with the same values', () => {
    const rows = page('errors.md')
      .split('\n')
      .filter((line) => line.startsWith('| `'));
    const expected = Object.entries(errorTable).map(
      ([code, row]) => `| \`${code}\` | ${row.http} | ${row.retry} | ${row.meaning} |`,
    );
    assert.deepEqual(rows, expected);
  });
});
