import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { doctorCodes } from '../../../server/cli/doctor/codes.js';
import { root } from '../../support/root.js';

const page = readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8');
const sources = [
  'token-findings.ts',
  'doctor/checks/access-checks.ts',
  'doctor/checks/address-checks.ts',
  'doctor/checks/blocked-paths.ts',
  'doctor/checks/replica-checks.ts',
  'doctor/checks/redis-checks.ts',
  'doctor/checks/state-checks.ts',
  'doctor/checks/path-checks.ts',
]
  .map((file) => readFileSync(join(root, 'server', 'cli', file), 'utf8'))
  .join('\n');

describe('[CLI] the codes of rtc doctor', () => {
  it('are the headings of docs/troubleshooting.md, in the same order, with their titles', () => {
    const documented = [...page.matchAll(/^### (RTC-[A-Z]+-\d\d)\n\n\*\*(.+?)\.\*\*/gm)].map(
      ([, code, title]) => [code, title],
    );
    const known = Object.entries(doctorCodes).map(([code, { title }]) => [
      code,
      title[0]!.toUpperCase() + title.slice(1),
    ]);
    assert.deepEqual(documented, known);
  });

  it('are all found by some check, and no check finds another', () => {
    const used = new Set([...sources.matchAll(/'(RTC-[A-Z]+-\d\d)'/g)].map(([, code]) => code));
    assert.deepEqual([...used].sort(), Object.keys(doctorCodes).sort());
  });
});
