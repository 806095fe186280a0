import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { root } from '../support/root.js';

const programs = join(root, 'test', 'support', 'package-users');

/** Runs a program. Its output is part of the failure. */
function run(cwd: string, program: string, args: readonly string[]): string {
  try {
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: error });
  }
}

const readJson = <Type>(...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8')) as Type;

describe('[PACKAGE] the package made by npm pack', function () {
  this.timeout(180_000);
  const directory = mkdtempSync(join(tmpdir(), 'rtc-package-'));
  const installed = join(directory, 'node_modules', 'realtime-communication');
  const installedFiles = () =>
    readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(installed, join(entry.parentPath, entry.name)))
      .filter((file) => !file.startsWith('node_modules'));

  before(() => {
    run(root, 'npm', ['pack', '--silent', '--pack-destination', directory]);
    const [tarball = ''] = readdirSync(directory).filter((file) => file.endsWith('.tgz'));
    writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
    const { devDependencies } = readJson<{ devDependencies: Record<string, string> }>(root, 'package.json');
    const client = `socket.io-client@${devDependencies['socket.io-client']}`;
    const options = ['--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    run(directory, 'npm', ['install', ...options, `./${tarball}`, client]);
    cpSync(programs, directory, { recursive: true });
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  it('contains what users need and nothing else', () => {
    const files = installedFiles();
    const scripts = readdirSync(join(root, 'server/storage/redis/lua'), {
      recursive: true,
      encoding: 'utf8',
    })
      .filter((file) => file.endsWith('.lua'))
      .map((file) => `dist/server/storage/redis/lua/${file}`);
    const { bin } = readJson<{ bin: Record<string, string> }>(root, 'package.json');
    const needed = [
      ...['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'config.example.toml', 'package.json'],
      ...['dist/server/index.js', 'dist/server/index.d.ts', 'dist/shared/errors.js', 'docs/SPEC.md'],
      ...[
        'dist/client/index.js',
        'dist/client/index.mjs',
        'dist/client/index.d.mts',
        'dist/client/browser.js',
        'dist/client/state.mjs',
        'dist/admin/index.html',
        'dist/admin/console.js',
      ],
      ...Object.values(bin),
      ...scripts,
      ...readdirSync(join(root, 'docs/charts')).map((file) => `docs/charts/${file}`),
    ];
    assert.ok(scripts.length > 0);
    for (const file of needed) assert.ok(files.includes(file), file);
    const allowed =
      /^(dist\/(server|shared|client|admin|pages)\/|docs\/[^/]+\.md$|docs\/cli\.schema\.json$|docs\/charts\/[\w-]+\.svg$|docs\/images\/console-overview-light-desktop\.png$|(README|CHANGELOG|SECURITY)\.md$|LICENSE$|config\.example\.toml$|package\.json$)/;
    for (const file of files) {
      assert.match(file, allowed);
      assert.doesNotMatch(file, /\.test\.|tsbuildinfo|(?<!\.d)\.m?ts$/);
    }
  });

  it('contains source maps with their sources', () => {
    const maps = installedFiles().filter((file) => file.endsWith('.map'));
    assert.ok(maps.length > 0);
    for (const map of maps) {
      const { sources, sourcesContent = [] } = readJson<{ sources: string[]; sourcesContent?: string[] }>(
        installed,
        map,
      );
      assert.equal(sourcesContent.length, sources.length, map);
    }
  });

  it('contains every document that its README links to', () => {
    const files = installedFiles();
    const text = readFileSync(join(installed, 'README.md'), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    assert.ok(links.length > 0);
    for (const link of links) assert.ok(files.includes(link), link);
  });

  it('is a service for ESM programs, with named imports', () => {
    assert.equal(run(directory, process.execPath, ['program.mjs']), 'got {"hi":1}\n');
  });

  it('is a service for CommonJS programs', () => {
    assert.equal(run(directory, process.execPath, ['program.cjs']), 'got {"hi":1}\n');
  });

  it('has types that pass in a strict program, ESM and CommonJS, without skipLibCheck', () => {
    run(directory, process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory]);
  });

  it('has types that refuse wrong code', () => {
    const wrong = readFileSync(join(programs, 'typed.mts'), 'utf8').replace(
      "topic === 'orders'",
      'topic === 1',
    );
    writeFileSync(join(directory, 'typed.mts'), wrong);
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    assert.throws(
      () => run(directory, process.execPath, [tsc, '-p', directory]),
      /typed\.mts\(\d+,\d+\): error TS2367/,
    );
  });

  it('has a client for ESM and for CommonJS programs', () => {
    for (const program of ['client.mjs', 'client.cjs'])
      assert.equal(run(directory, process.execPath, [program]), 'got {"hi":1}\n', program);
  });

  it('has types of the client that refuse a wrong payload', () => {
    const file = join(directory, 'client-typed.mts');
    const right = readFileSync(file, 'utf8');
    writeFileSync(file, right.replace("publish({ text: 'hi' }", 'publish({ text: 1 }'));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    assert.throws(
      () => run(directory, process.execPath, [tsc, '-p', directory]),
      /client-typed\.mts\(\d+,\d+\): error TS2322/,
    );
    writeFileSync(file, right);
  });

  it('has a client that Vite builds into a page', () => {
    writeFileSync(join(directory, 'index.html'), '<script type="module" src="./page.js"></script>\n');
    writeFileSync(
      join(directory, 'page.js'),
      "import { createClient } from 'realtime-communication/client';\nwindow.client = createClient({ url: '', token: 'a' });\n",
    );
    run(directory, process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', directory]);
    const assets = join(directory, 'dist', 'assets');
    const [script = ''] = readdirSync(assets).filter((name) => name.endsWith('.js'));
    assert.match(readFileSync(join(assets, script), 'utf8'), /no answer to a probe/);
  });

  it('has a client for a plain script tag, which does nothing before connect()', () => {
    const script = readFileSync(join(installed, 'dist/client/browser.js'), 'utf8');
    const page = createContext({ TextEncoder, performance, URL });
    runInContext(script, page);
    const made = "new RealtimeCommunication.Client({ url: 'http://127.0.0.1:1', token: 'a' }).state.state";
    assert.equal(runInContext(made, page), 'idle');
    for (const name of ['savedState', 'createOutbox', 'sharedConnection', 'GuideClient'])
      assert.equal(runInContext(`typeof RealtimeCommunication.${name}`, page), 'function', name);
  });

  it('has commands', () => {
    const bin = join(directory, 'node_modules', '.bin');
    assert.match(run(directory, join(bin, 'rtc'), ['--help']), /Usage: rtc/);
    assert.match(run(directory, join(bin, 'rtc'), ['config']), /"server"/);
  });
});
