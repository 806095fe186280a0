import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Above `server/`: `dist/` of a built service, or the checkout itself when the sources are run. */
const base = join(__dirname, '..', '..', '..');

/** The folder of a built page; undefined if it is not built, as in an image of the service. */
export function pageFolder(name: string): string | undefined {
  return [join(base, 'pages', name), join(base, 'dist', 'pages', name)].find((folder) =>
    existsSync(join(folder, 'main.js')),
  );
}
