// Builds the operator's console into dist/admin/, and prints its size.
//
//   node scripts/admin-bundle.cjs           writes it
//   node scripts/admin-bundle.cjs --check   writes nothing; fails if the console has outgrown its budget
const { readdirSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { gzipSync } = require('node:zlib');
const { slimLibraries } = require('./slim-libraries.cjs');

const root = join(__dirname, '..');
const isCheck = process.argv.includes('--check');
/** Bytes of all files together, minified and gzipped, with socket.io-client. */
const budgetBytes = 60_000;

async function main() {
  const { build } = await import('vite');
  const { output } = await build({
    configFile: false,
    root: join(root, 'admin'),
    // Relative, because a proxy may serve the console under another path.
    base: './',
    logLevel: 'warn',
    plugins: [slimLibraries()],
    // Shorter than jsx().
    oxc: {
      jsx: { runtime: 'classic', pragma: 'h', pragmaFrag: 'Fragment' },
      jsxInject: "import { h, Fragment } from 'preact'",
    },
    build: {
      outDir: join(root, 'dist', 'admin'),
      emptyOutDir: true,
      write: !isCheck,
      // Since 2024 all browsers have light-dark(), the newest of what the console needs.
      target: ['chrome123', 'firefox120', 'safari17.5'],
      modulePreload: false,
      // An image or font as a data: address would need an exception in the policy.
      assetsInlineLimit: 0,
      rollupOptions: {
        // These do nothing when they are imported, but do not say so.
        treeshake: {
          moduleSideEffects: [{ test: /node_modules\/(?:engine|socket)\.io/, sideEffects: false }],
        },
        output: {
          // Without a hash: server/admin/console/console-files.ts says why.
          entryFileNames: 'console.js',
          assetFileNames: (asset) => (asset.names?.[0]?.endsWith('.css') ? 'console.css' : '[name][extname]'),
          codeSplitting: false,
        },
      },
    },
  });
  const files = output.map(({ fileName, code, source }) => [fileName, code ?? source]);
  for (const name of readdirSync(join(root, 'admin', 'public')))
    files.push([name, readFileSync(join(root, 'admin', 'public', name))]);
  const counted = files.map(([name, content]) => [name, gzipSync(Buffer.from(content), { level: 9 }).length]);
  const sum = counted.reduce((total, [, bytes]) => total + bytes, 0);
  const sizes = counted.map(([name, bytes]) => `${name} ${bytes}`);
  console.log(`admin: ${sum} bytes gzipped (${sizes.join(', ')}), ${budgetBytes} are allowed`);
  if (sum > budgetBytes) process.exitCode = 1;
}

void main();
