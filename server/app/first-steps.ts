import type { Settings } from '../config/schema.js';
import { pageFolder } from '../http/pages/page-folder.js';

/** The folder of the page for newcomers; undefined where it is not served: in production, hardened, or if it is not built. */
export function firstStepsFolder({
  server: { environment, profile },
}: Pick<Settings, 'server'>): string | undefined {
  if (environment !== 'development' || profile === 'hardened') return undefined;
  return pageFolder('first-steps');
}
