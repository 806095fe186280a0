import { ErrorReply } from 'redis';

/**
 * The format of everything that replicas share in Redis: keys, entries of logs, what channels carry, messages between
 * replicas. Releases with the same number run side by side. 1: all releases from 0.1 on.
 *
 * A release that changes the format in a way that releases before it cannot read counts it up. See docs/adr/0010-storage-format.md.
 */
export const storageFormat = 1;

/** Where the format of the data is noted. */
export function formatKey(keyPrefix: string): string {
  return `${keyPrefix}:format`;
}

/**
 * The format of the data, if this release cannot read it. If no format is noted, this one is. Rejects as `call` does.
 */
export async function newerFormat(
  call: (args: string[]) => Promise<unknown>,
  key: string,
): Promise<number | undefined> {
  try {
    const noted = await call(['GET', key]);
    if (noted === null) await call(['SET', key, String(storageFormat), 'NX']);
    return Number(noted) > storageFormat ? Number(noted) : undefined;
  } catch (error) {
    // A foreign value, or a Redis without memory for one more: the data themselves can be read.
    if (error instanceof ErrorReply) return undefined;
    throw error;
  }
}

/** What the operator reads. */
export function formatRefusal(noted: number): string {
  return `the data in Redis have storage format ${noted}, and this release reads up to ${storageFormat}: start the release that wrote them or a newer one, or use another redis.key_prefix`;
}
