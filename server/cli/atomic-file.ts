import { open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a file that only its owner may read, atomically: the name always refers to the old content or to the complete new content. It is
 * written to a temporary file, synced to disk, then renamed. After a failure the temporary file is removed.
 *
 * @throws errors of the chunks and of the file system; AbortError.
 */
export async function writeAtomically(
  file: string,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string>,
  signal?: AbortSignal,
): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    try {
      await writeFile(handle, chunks, { signal });
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(file));
}

/** Makes the new name survive a power failure, if directories can be synced. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
