import { readFileSync, statSync } from 'node:fs';

/** Open files and sockets of this process. */
export class FileDescriptors {
  /** Null where the system does not say. */
  readonly limit = readLimit();

  /** Null where the system does not say. Costs a system call: Linux gives their number as the size of a directory, since 6.2. */
  get open(): number | null {
    try {
      const { size } = statSync('/proc/self/fd');
      return size > 0 ? size : null;
    } catch {
      return null;
    }
  }
}

function readLimit(): number | null {
  try {
    const found = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return found === undefined ? null : Number(found);
  } catch {
    return null;
  }
}
