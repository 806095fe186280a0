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
 * Entries, each with its budget: bytes of the modules that are shipped, minified by Vite and gzipped, without socket.io-client
 * and React: the first one alone, the others without what it has already.
 */
const budgets = { index: 9_900, guide: 1_200, outbox: 1_750, react: 950, state: 750, tabs: 5_950 };

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

/** What is shipped minified, or counted as if it was: Vite's minifier makes it smaller than esbuild's. */
async function minifier() {
  const { minifySync } = await import('vite');
  return (text, options = {}) => {
    const { code, map, errors } = minifySync('bundle.js', text, options);
    if (errors.length > 0) throw new Error(errors[0].message);
    return { code, map };
  };
}

async function check() {
  const minify = await minifier();
  const small = { ...modules, write: false, metafile: true };
  const minified = ({ outputFiles }) =>
    outputFiles.map(({ path, text }) => ({
      path,
      contents: Buffer.from(minify(text, { module: true }).code),
    }));
  const built = buildSync(small);
  const { outputs } = built.metafile;
  const outputFiles = minified(built);
  const core = filesOf(outputs, 'index');
  const alone = minified(buildSync({ ...small, entryPoints: [sourceOf('index')] }));
  for (const [entry, budgetBytes] of Object.entries(budgets)) {
    const own = [...filesOf(outputs, entry)].filter((file) => !core.has(file)).map((file) => basename(file));
    const bytes = gzippedBytes(
      entry === 'index' ? alone : outputFiles.filter(({ path }) => own.includes(basename(path))),
    );
    console.log(`client/${entry}: ${bytes} bytes gzipped, ${budgetBytes} are allowed`);
    if (bytes > budgetBytes) process.exitCode = 1;
  }
}

/** Writes a script that runs as it is, with its map. */
async function writeScript(name, options) {
  const minify = await minifier();
  const file = join(output, name);
  const { outputFiles } = buildSync({
    ...settings,
    ...options,
    format: 'iife',
    sourcemap: 'external',
    outfile: file,
    write: false,
  });
  const [map, script] = ['.js.map', '.js'].map((end) => outputFiles.find(({ path }) => path.endsWith(end)));
  const small = minify(script.text, { sourcemap: true, inputMap: JSON.parse(map.text) });
  writeFileSync(file, `${small.code}\n//# sourceMappingURL=${name}.map\n`);
  writeFileSync(`${file}.map`, JSON.stringify(small.map));
}

async function write() {
  mkdirSync(output, { recursive: true });
  for (const file of readdirSync(output)) if (/^shared-.*\.mjs/.test(file)) rmSync(join(output, file));
  buildSync({ ...modules, sourcemap: true });
  for (const entry of Object.keys(budgets))
    writeFileSync(join(output, `${entry}.d.mts`), `export * from './${entry}.js';\n`);
  // From the modules, whose names are short already: those of socket.io-client, which it includes, must stay.
  await writeScript('browser.js', {
    stdin: {
      contents: scriptEntries.map((entry) => `export * from './${entry}.mjs';`).join('\n'),
      resolveDir: output,
    },
    globalName: 'RealtimeCommunication',
  });
  await writeScript('tabs-worker.js', { entryPoints: [sourceOf('tabs-worker')] });
}

(process.argv.includes('--check') ? check() : write()).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
