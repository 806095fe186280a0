// Compiles shared/, server/, client/, bench/ and test/ into dist/, bundles the client library and the operator's console, copies the Lua
// scripts, and deletes compiled files whose source is gone, so that no package contains them.
//
//   node scripts/build.cjs               builds
//   node scripts/build.cjs --if-needed   builds only if a source has changed since the last build
const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } = require('node:fs');
const { join, relative } = require('node:path');

const root = join(__dirname, '..');
const dist = join(root, 'dist');
const sourceFolders = ['shared', 'server', 'client', 'bench', 'test', 'examples'];
const assets = ['server/storage/redis/lua'];
/** What is bundled, each with its script. An image of the service has no client. */
const bundles = { 'client/index.ts': 'client-bundles.cjs', 'admin/index.html': 'admin-bundle.cjs' };
const recordFile = join(dist, '.built');

const filesBelow = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [];

/**
 * Names, times and sizes of all sources. A change to an older version is detected too, because times are
 * compared for equality.
 */
function fingerprint() {
  const hash = createHash('sha256');
  const files = [
    ...[...sourceFolders, 'admin', 'scripts'].flatMap((folder) => filesBelow(join(root, folder))),
    join(root, 'tsconfig.json'),
    join(root, 'package-lock.json'),
  ];
  for (const file of files.sort()) {
    const { mtimeMs, size } = statSync(file);
    hash.update(`${relative(root, file)} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex');
}

function isBuilt(current) {
  return (
    existsSync(join(dist, 'server', 'main.js')) &&
    existsSync(recordFile) &&
    readFileSync(recordFile, 'utf8') === current
  );
}

function removeOutputsWithoutSource() {
  for (const folder of sourceFolders)
    for (const file of filesBelow(join(dist, folder))) {
      const asset = join(root, relative(dist, file));
      const source = asset.replace(/(\.d\.ts|\.js|\.js\.map)$/, '.ts');
      if (!existsSync(source) && !existsSync(asset)) rmSync(file);
    }
}

const current = fingerprint();
if (!process.argv.includes('--if-needed') || !isBuilt(current)) {
  console.error('building dist/ …');
  rmSync(recordFile, { force: true });
  const compiler = require.resolve('typescript/bin/tsc');
  // The compiler writes nothing to standard output, because `npm start` prints only the log there.
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.json')], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
  for (const asset of assets)
    if (existsSync(join(root, asset))) cpSync(join(root, asset), join(dist, asset), { recursive: true });
  removeOutputsWithoutSource();
  for (const [source, script] of Object.entries(bundles)) {
    if (!existsSync(join(root, source))) continue;
    const bundle = spawnSync(process.execPath, [join(__dirname, script)], { stdio: ['ignore', 2, 2] });
    if (bundle.status !== 0) process.exit(bundle.status ?? 1);
  }
  writeFileSync(recordFile, current);
}
