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

/** Bytes, minified and gzipped, without socket.io-client. */
const budgetBytes = 12_000;

const common = {
  entryPoints: [join(root, 'client', 'index.ts')],
  bundle: true,
  target: 'es2022',
  logLevel: 'warning',
  absWorkingDir: root,
};
const external = ['socket.io-client'];

if (process.argv.includes('--check')) {
  const { outputFiles } = buildSync({ ...common, external, format: 'esm', minify: true, write: false });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`client: ${bytes} bytes gzipped, ${budgetBytes} are allowed`);
  if (bytes > budgetBytes) process.exitCode = 1;
} else {
  mkdirSync(output, { recursive: true });
  buildSync({ ...common, external, format: 'esm', sourcemap: true, outfile: join(output, 'index.mjs') });
  buildSync({
    ...common,
    format: 'iife',
    globalName: 'RealtimeCommunication',
    minify: true,
    sourcemap: true,
    outfile: join(output, 'browser.js'),
  });
  writeFileSync(join(output, 'index.d.mts'), "export * from './index.js';\n");
}
