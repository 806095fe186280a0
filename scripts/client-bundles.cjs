// Bundles the client library: ES modules, a script for pages that includes socket.io-client, and the script of the SharedWorker.
//
//   node scripts/client-bundles.cjs           writes them into dist/client/
//   node scripts/client-bundles.cjs --check   writes nothing; fails if the library has outgrown its budget
const { mkdirSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { gzipSync } = require('node:zlib');
const { buildSync } = require('esbuild');

const root = join(__dirname, '..');
const output = join(root, 'dist', 'client');

/**
 * Entries, each with its budget: bytes, minified and gzipped, without socket.io-client, and without what the first entry has
 * already.
 */
const budgets = { index: 11_850, guide: 1_300, outbox: 1_100, react: 1_500, tabs: 6_300 };

const settings = {
  bundle: true,
  target: 'es2022',
  logLevel: 'warning',
  absWorkingDir: root,
  // Fields without a value need no code.
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
};
const sourceOf = (entry) => join(root, 'client', `${entry}.ts`);

/** The entries as ES modules. What several of them need is in files of its own, so that a page loads it once. */
const modules = {
  ...settings,
  entryPoints: Object.keys(budgets).map(sourceOf),
  external: ['socket.io-client', 'react'],
  format: 'esm',
  splitting: true,
  outdir: output,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'shared-[hash]',
};

/** Files of the ES modules that an entry loads. */
function filesOf(outputs, entry) {
  const files = new Set();
  const add = (file) => {
    if (files.has(file)) return;
    files.add(file);
    for (const { path, external } of outputs[file].imports) if (!external) add(path);
  };
  add(Object.keys(outputs).find((file) => outputs[file].entryPoint === `client/${entry}.ts`));
  return files;
}

function check() {
  const { outputFiles, metafile } = buildSync({ ...modules, minify: true, write: false, metafile: true });
  const core = filesOf(metafile.outputs, 'index');
  for (const [entry, budgetBytes] of Object.entries(budgets)) {
    const own = [...filesOf(metafile.outputs, entry)].filter((file) => entry === 'index' || !core.has(file));
    const contents = outputFiles.filter(({ path }) => own.some((file) => basename(file) === basename(path)));
    const bytes = gzipSync(Buffer.concat(contents.map((file) => file.contents)), { level: 9 }).length;
    console.log(`client/${entry}: ${bytes} bytes gzipped, ${budgetBytes} are allowed`);
    if (bytes > budgetBytes) process.exitCode = 1;
  }
}

function write() {
  mkdirSync(output, { recursive: true });
  for (const file of readdirSync(output)) if (/^shared-.*\.mjs/.test(file)) rmSync(join(output, file));
  buildSync({ ...modules, sourcemap: true });
  for (const entry of Object.keys(budgets))
    writeFileSync(join(output, `${entry}.d.mts`), `export * from './${entry}.js';\n`);
  const script = { ...settings, format: 'iife', minify: true, sourcemap: true };
  buildSync({
    ...script,
    entryPoints: [sourceOf('index')],
    globalName: 'RealtimeCommunication',
    outfile: join(output, 'browser.js'),
  });
  buildSync({ ...script, entryPoints: [sourceOf('tabs-worker')], outfile: join(output, 'tabs-worker.js') });
}

if (process.argv.includes('--check')) check();
else write();
