import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { root } from '../../support/root.js';

/** Dependencies that no file imports, with the reason for each. */
const notImported: Record<string, string> = {
  '@socket.io/admin-ui': 'its page is served from the package',
  '@types/express': 'the types of `Service` name those of express, which has none of its own',
};

/** Tools that are run by name, or that contain only types. */
const tools: Record<string, string> = {
  '@types/mocha': 'types of tests',
  '@types/node': 'types of Node',
  '@types/cli-progress': 'types of a dependency',
  '@types/cors': 'types of a dependency',
  '@types/express-session': 'types of a development dependency',
  '@types/jsonwebtoken': 'types of a dependency',
  '@types/react': 'types of a peer dependency',
  '@types/react-dom': 'types of a development dependency',
  '@types/ws': 'types of a dependency',
  c8: 'npm run coverage',
  'dependency-cruiser': 'npm run lint',
  eslint: 'npm run lint',
  'playwright-core': 'drives the browser in tests of pages',
  prettier: 'npm run lint',
  tsx: 'npm run dev, and loads the tests',
  mocha: 'runs the tests',
  typescript: 'npm run build',
  vite: 'builds the console, and a page with the client in the test of the package',
  'typescript-eslint': 'npm run lint',
};

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
};

const builtin = new Set(builtinModules);

/** The packages that the files of some folders import, in any form. */
function importedBy(folders: readonly string[], extension: RegExp): Set<string> {
  const packages = new Set<string>();
  for (const folder of folders)
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !extension.test(entry.name)) continue;
      const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
      for (const [, name = ''] of text.matchAll(
        /(?:\bfrom |\bimport |\bimport\(|\brequire(?:\.resolve)?\()\s*['"]([^'"]+)['"]/g,
      )) {
        if (name.startsWith('.') || name.startsWith('node:')) continue;
        const parts = name.split('/');
        const packageName = parts.slice(0, name.startsWith('@') ? 2 : 1).join('/');
        if (!builtin.has(packageName)) packages.add(packageName);
      }
    }
  return packages;
}

describe('[PACKAGE] dependencies', () => {
  const byProduct = importedBy(['server', 'shared'], /\.ts$/);

  it('are imported by the product, or are listed with a reason', () => {
    for (const name of Object.keys(manifest.dependencies))
      assert.notEqual(byProduct.has(name), name in notImported, `dependency ${name}`);
    for (const name of Object.keys(notImported)) assert.ok(name in manifest.dependencies, name);
  });

  it('of the product are all declared', () => {
    for (const name of byProduct) assert.ok(name in manifest.dependencies, `${name} is imported`);
  });

  it('of the client are peers', () => {
    assert.deepEqual([...importedBy(['client'], /\.ts$/)].sort(), Object.keys(manifest.peerDependencies));
  });

  it('of development are used by tests, bench or scripts, or are listed with a reason', () => {
    const byOthers = importedBy(['test', 'bench', 'scripts', 'examples', 'admin'], /\.(tsx?|cjs|mjs|js)$/);
    for (const name of Object.keys(manifest.devDependencies))
      assert.ok(byOthers.has(name) || name in tools, `development dependency ${name}`);
    for (const name of Object.keys(tools)) assert.ok(name in manifest.devDependencies, name);
  });
});
