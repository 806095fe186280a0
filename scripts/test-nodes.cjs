// Runs the tests on every supported line of Node. The binaries come from npm's `node-<platform>-<arch>`
// packages and are kept in .tmp/nodes/.
//
//   npm run test:nodes                              all tests on each
//   npm run test:nodes -- 22 24                     on these only
//   npm run test:nodes -- 24 -- test/unit/x.test.ts the rest is passed to scripts/test.cjs
const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
const { delimiter, dirname, join } = require('node:path');

const root = join(__dirname, '..');
const supported = ['20.19', '22', '24'];
const platform = process.platform === 'win32' ? 'win' : process.platform;
const binaries = `node-${platform}-${process.arch}`;

const args = process.argv.slice(2);
const separator = args.indexOf('--');
const chosen = separator === -1 ? args : args.slice(0, separator);
const testArguments = separator === -1 ? [] : args.slice(separator + 1);

/** The path of a Node binary; undefined if npm has none for this platform or is unreachable. */
function binaryOf(line) {
  const directory = join(root, '.tmp', 'nodes', line);
  const program = process.platform === 'win32' ? 'node.exe' : 'node';
  const binary = join(directory, 'node_modules', binaries, 'bin', program);
  if (existsSync(binary)) return binary;
  mkdirSync(directory, { recursive: true });
  // With its own manifest, because npm must not use the manifest of the checkout.
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  const install = ['install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund'];
  spawnSync('npm', [...install, `${binaries}@${line}`], { cwd: directory, stdio: 'ignore' });
  return existsSync(binary) ? binary : undefined;
}

const results = (chosen.length > 0 ? chosen : supported).map((line) => {
  const binary = binaryOf(line);
  if (binary === undefined) return { line, text: `no binary: ${binaries}@${line} cannot be installed` };
  const version = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`Node ${version}`);
  const { status } = spawnSync(binary, [join(__dirname, 'test.cjs'), ...testArguments], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    // Programs that a test starts by name also run on this Node.
    env: { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` },
  });
  return { line, text: `${version}: ${status === 0 ? 'passed' : 'failed'}`, passed: status === 0 };
});

for (const { line, text } of results) console.log(`Node ${line}: ${text}`);
process.exitCode = results.every(({ passed }) => passed === true) ? 0 : 1;
