// Bundles the client library: an ES module, and a script for pages that includes socket.io-client.
//
//   node scripts/client-bundles.cjs           writes them into dist/client/
//   node scripts/client-bundles.cjs --check   writes nothing; fails if the library has outgrown its budget
const { mkdirSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { gzipSync } = require('node:zlib');
const { buildSync } = require('esbuild');

const root = join(__dirname, '..');
const output = join(root, 'dist', 'client');

/** Entries, each with its budget: bytes, minified and gzipped, without socket.io-client and without the other entries. */
const budgets = { index: 12_200, outbox: 800, react: 1_500 };

const settings = { bundle: true, target: 'es2022', logLevel: 'warning', absWorkingDir: root };
const external = ['socket.io-client', 'react'];
const sourceOf = (entry) => join(root, 'client', `${entry}.ts`);

for (const [entry, budgetBytes] of Object.entries(budgets)) {
  const common = { ...settings, entryPoints: [sourceOf(entry)], external, format: 'esm' };
  if (process.argv.includes('--check')) {
    const { outputFiles } = buildSync({ ...common, minify: true, write: false });
    const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
    console.log(`client/${entry}: ${bytes} bytes gzipped, ${budgetBytes} are allowed`);
    if (bytes > budgetBytes) process.exitCode = 1;
    continue;
  }
  mkdirSync(output, { recursive: true });
  buildSync({ ...common, sourcemap: true, outfile: join(output, `${entry}.mjs`) });
  writeFileSync(join(output, `${entry}.d.mts`), `export * from './${entry}.js';\n`);
}

if (!process.argv.includes('--check'))
  buildSync({
    ...settings,
    entryPoints: [sourceOf('index')],
    format: 'iife',
    globalName: 'RealtimeCommunication',
    minify: true,
    sourcemap: true,
    outfile: join(output, 'browser.js'),
  });
