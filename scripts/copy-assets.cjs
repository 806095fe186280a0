// Copies what the compiler leaves behind (Lua scripts, pages) next to the compiled code.
const { cpSync, existsSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const assets = ['server/storage/redis/lua', 'admin/public'];
for (const asset of assets) {
  const from = join(root, asset);
  if (existsSync(from)) cpSync(from, join(root, 'dist', asset), { recursive: true });
}
