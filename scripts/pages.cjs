// Builds the pages that the service serves in development: a bundle of the scripts of each, and its other files, in dist/pages/.
const { cpSync, mkdirSync, readdirSync } = require('node:fs');
const { join } = require('node:path');
const { buildSync } = require('esbuild');

const root = join(__dirname, '..');

for (const page of ['first-steps']) {
  const source = join(root, 'pages', page);
  const output = join(root, 'dist', 'pages', page);
  mkdirSync(output, { recursive: true });
  buildSync({
    entryPoints: [join(source, 'main.ts')],
    bundle: true,
    format: 'esm',
    minify: true,
    sourcemap: true,
    target: 'es2022',
    logLevel: 'warning',
    absWorkingDir: root,
    outfile: join(output, 'main.js'),
  });
  for (const file of readdirSync(source))
    if (!file.endsWith('.ts')) cpSync(join(source, file), join(output, file));
}
