import { usageError } from '../cli-error.js';

/**
 * A name as a part of a path. `.` and `..` cannot be one, however they are written: an address with them means another path.
 *
 * @throws CliError
 */
export function pathSegment(what: string, name: string): string {
  if (name === '') throw usageError(`${what}: the name is empty`);
  if (['.', '..'].includes(name))
    throw usageError(`${what}: "${name}" cannot be asked for: it would be another path of the service`);
  return encodeURIComponent(name);
}
