import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const includeLine = /^--- @include "([^"\n]+)"$/gm;

/**
 * The text of a Lua script, `<name>.lua` in the directory. A line `--- @include "name"` is replaced by that
 * file, which may include others; each file is included once. This is the include syntax of BullMQ's scripts.
 *
 * @throws Error if a file is missing
 */
export function luaSource(directory: string, name: string, included = new Set<string>()): string {
  included.add(name);
  const text = readFileSync(join(directory, `${name}.lua`), 'utf8');
  return text.replace(includeLine, (_line, other: string) =>
    included.has(other) ? '' : luaSource(directory, other, included),
  );
}
