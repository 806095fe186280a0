import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { exitCodes } from '../../server/cli/process-end.js';
import { loadSettings, SettingsError } from '../../server/config/load.js';
import { settingList } from '../../server/config/setting-list.js';
import { root } from '../support/root.js';
import { freePort, until } from '../support/wait.js';
import { corpus, fuzz, seed, timeLimitMs } from './fuzz-plan.js';
import { anyJson, anyText, damaged, jsonNumber, jsonText, mostly, utf8, weighted } from './generators.js';

/** A settings file, of one byte per character, and variables. */
interface Written {
  readonly file: string;
  readonly variables: Readonly<Record<string, string>>;
}

const keyed = settingList.filter(({ key }) => key !== undefined);
const sections = [...new Set(settingList.map(({ section }) => section))];
const shortVariables = [
  'HOST',
  'PORT',
  'NODE_ENV',
  'REPLICA_ID',
  'JWT_SECRET',
  'REDIS_URL',
  'LOG_LEVEL',
  'LOG_FORMAT',
  'RUST_LOG',
];

const values = weighted(
  [
    3,
    fc.constantFrom(
      '0',
      '1',
      '5',
      '60',
      '100000',
      'true',
      '"a"',
      '["*"]',
      '[]',
      '{}',
      '"on"',
      '"auto"',
      '"reject"',
      '"production"',
    ),
  ],
  [2, jsonNumber],
  [2, jsonText],
  [1, anyJson],
  [
    1,
    fc.constantFrom(
      'nan',
      '-inf',
      '1979-05-27T07:32:00Z',
      "'''x'''",
      '[[1]]',
      '0x10',
      '1_000',
      '"redis://"',
      '"http://[::1"',
    ),
  ],
);
const tomlLine = weighted(
  [
    8,
    fc
      .tuple(fc.constantFrom(...keyed), values)
      .map(([{ section, key }, value]) => `[${section}]\n${key} = ${value}`),
  ],
  [1, fc.tuple(jsonText, values).map(([key, value]) => `${key} = ${value}`)],
  [1, fc.tuple(fc.constantFrom(...sections), values).map(([section, value]) => `${section} = ${value}`)],
  [
    1,
    fc
      .tuple(fc.constantFrom('permissions', 'topics.rules', 'topics'), values)
      .map(([table, value]) => `[[${table}]]\nrole = ${value}\npattern = ${value}`),
  ],
  [
    1,
    fc.constantFrom(
      '[server',
      '= 1',
      '[[server]]',
      'a.b.c = 1',
      '#',
      '[server]\n[server]',
      '__proto__ = 1',
      '[__proto__]\nx = 1',
    ),
  ],
);
const tomlText = fc.array(tomlLine, { maxLength: 6 }).map((lines) => `${lines.join('\n')}\n`);
const variableName = weighted(
  [
    8,
    fc.constantFrom(
      ...settingList.map(
        ({ section, key }) =>
          `RTC_${[section, key]
            .filter((part) => part !== undefined)
            .join('_')
            .toUpperCase()}`,
      ),
    ),
  ],
  [3, fc.constantFrom(...shortVariables)],
  [1, anyText.map((text) => `RTC_${text.replace(/[=\0]/g, '').slice(0, 50)}`)],
);
const variableValue = mostly(
  fc.constantFrom(
    '',
    '0',
    '1',
    '60',
    '1e3',
    ' 5 ',
    'true',
    'a,b',
    '["a"]',
    'redis://x:1',
    'on',
    'production',
  ),
  weighted([2, anyText], [1, anyJson]),
).map((text) => text.replaceAll('\0', '').slice(0, 5000));

const inputs: fc.Arbitrary<Written> = fc.record({
  file: weighted([5, tomlText.map(utf8)], [1, damaged(tomlText)]),
  variables: fc.dictionary(variableName, variableValue, { maxKeys: 5 }),
});

/** What a problem may name: a setting, a section, a variable, or the file. */
const known = new RegExp(
  [...sections, ...shortVariables, 'RTC_', 'unknown setting', 'settings file']
    .map((name) => name.replace('.', '\\.'))
    .join('|'),
);

describe(`[FUZZ] settings (seed ${seed})`, function () {
  const bounds = { inputs: 2000, seconds: 6 };
  const startBounds = { inputs: 8, seconds: 15 };
  this.timeout(timeLimitMs(startBounds));
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'rtc-fuzz-settings-'))));
  after(() => rmSync(directory, { recursive: true }));
  const store = (file: string): string => {
    const path = join(directory, 'rtc.toml');
    writeFileSync(path, Buffer.from(file, 'latin1'));
    return path;
  };

  function assertProblem(problem: string): void {
    assert.match(problem, known, `names no setting: ${problem.slice(0, 500)}`);
    assert.doesNotMatch(problem, /\n\s+at /, 'a stack');
    assert.ok(problem.length < 1100, `a problem of ${problem.length} characters`);
  }

  async function load({ file, variables }: Written): Promise<void> {
    const startedAt = performance.now();
    try {
      assert.ok(Object.isFrozen(loadSettings({ ...variables }, store(file))));
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      assert.ok(error.problems.length > 0, 'refused without a reason');
      error.problems.forEach(assertProblem);
    }
    assert.ok(performance.now() - startedAt < 5000, 'loading takes long');
    assert.equal(({} as Record<string, unknown>)['x'], undefined, 'a prototype was changed');
  }

  /** Starts the service: it either listens, or ends with its reason in lines without a stack. */
  async function start({ file, variables }: Written): Promise<void> {
    const port = await freePort();
    const names = Object.entries(variables).filter(([name]) => name !== '' && !name.includes('\0'));
    const { HOME, PATH } = process.env;
    const child = spawn(process.execPath, [join(root, 'dist', 'server', 'main.js')], {
      cwd: directory,
      env: {
        HOME,
        PATH,
        JWT_SECRET: 'a secret for tests of settings, of 32 bytes',
        ...Object.fromEntries(names),
        RTC_CONFIG: store(file),
        HOST: '127.0.0.1',
        PORT: String(port),
        RTC_SERVER_HOST: '',
        RTC_SERVER_PORT: '',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stdout.resume();
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
    try {
      await until(
        async () =>
          hasEnded() ||
          (await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined)) !== undefined,
        'the service listens or ends',
        30_000,
      );
      if (hasEnded()) {
        assert.notEqual(child.exitCode, 0, 'a refusal is no success');
        assert.notEqual(stderr.trim(), '', 'ended without a word');
        assert.doesNotMatch(stderr, /\n\s+at /, `a stack: ${stderr.slice(0, 2000)}`);
        return;
      }
      const { server } = loadSettings({ ...variables, JWT_SECRET: 'x' }, store(file));
      const isPatient = server.drainDelaySecs > 5;
      const signal = () => child.kill('SIGTERM');
      signal();
      // Whoever does not want to wait signals again, which ends the process by force.
      await until(() => hasEnded() || (isPatient && signal() && hasEnded()), 'the process ends', 30_000);
      assert.equal(child.exitCode, isPatient ? exitCodes.forced : 0);
    } finally {
      child.kill('SIGKILL');
    }
  }

  for (const [name, input] of corpus<Written>('settings')) {
    it(`load or are refused clearly: ${name}`, () => load(input));
    it(`start the service or are refused clearly: ${name}`, () => start(input));
  }

  it('load, or are refused with the name of each wrong one', () => fuzz('settings', inputs, bounds, load));

  // Only settings that load: the others end the process in the same way.
  const loadable = inputs.filter(({ file, variables }) => {
    try {
      loadSettings({ ...variables, JWT_SECRET: 'x' }, store(file));
      return true;
    } catch {
      return false;
    }
  });
  it('that load start the service, or end it with a reason', () =>
    fuzz('settings-start', loadable, startBounds, start));
});
