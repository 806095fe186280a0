// Bundles the client library: ES modules, a script for pages that includes socket.io-client, and the script of the SharedWorker.
//
//   node scripts/client-bundles.cjs           writes them into dist/client/
//   node scripts/client-bundles.cjs --check   writes nothing; fails if the library has outgrown its budget
const { mkdirSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { gzipSync } = require('node:zlib');
const { buildSync } = require('esbuild');
const { privateNames } = require('./client-private-names.cjs');

const root = join(__dirname, '..');
const output = join(root, 'dist', 'client');

/**
 * Entries, each with its budget: bytes, minified and gzipped, without socket.io-client and React: the first one alone, the
 * others without what it has already.
 */
const budgets = { index: 9_950, guide: 1_200, outbox: 1_800, react: 900, state: 750, tabs: 6_050 };

const settings = {
  bundle: true,
  target: 'es2022',
  logLevel: 'warning',
  absWorkingDir: root,
  // Fields without a value need no code.
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
};
const sourceOf = (entry) => join(root, 'client', `${entry}.ts`);
/** Members that nobody outside can see have short names in what is shipped: a minifier could not know that they may. */
const mangleProps = new RegExp(`^(?:${privateNames(Object.keys(budgets)).join('|')})$`);

/** What the script for pages without a build has. */
const scriptEntries = ['index', 'guide', 'outbox', 'state', 'tabs'];

/** The entries as ES modules. What several of them need is in files of its own, so that a page loads it once. */
const modules = {
  ...settings,
  mangleProps,
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

function gzippedBytes(files) {
  return gzipSync(Buffer.concat(files.map(({ contents }) => contents)), { level: 9 }).length;
}

function check() {
  const small = { ...modules, minify: true, write: false, metafile: true };
  const { outputFiles, metafile } = buildSync(small);
  const core = filesOf(metafile.outputs, 'index');
  const alone = buildSync({ ...small, entryPoints: [sourceOf('index')] }).outputFiles;
  for (const [entry, budgetBytes] of Object.entries(budgets)) {
    const own = [...filesOf(metafile.outputs, entry)]
      .filter((file) => !core.has(file))
      .map((file) => basename(file));
    const bytes = gzippedBytes(
      entry === 'index' ? alone : outputFiles.filter(({ path }) => own.includes(basename(path))),
    );
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
  // From the modules, whose names are short already: those of socket.io-client, which it includes, must stay.
  buildSync({
    ...script,
    stdin: {
      contents: scriptEntries.map((entry) => `export * from './${entry}.mjs';`).join('\n'),
      resolveDir: output,
    },
    globalName: 'RealtimeCommunication',
    outfile: join(output, 'browser.js'),
  });
  buildSync({ ...script, entryPoints: [sourceOf('tabs-worker')], outfile: join(output, 'tabs-worker.js') });
}

if (process.argv.includes('--check')) check();
else write();
