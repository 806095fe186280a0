import { access, constants, open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

type Chunks = AsyncIterable<string | Uint8Array> | Iterable<string>;

/**
 * Writes a file that only its owner may read, atomically: the name always refers to the old content or to the complete new content. It is
 * written to a temporary file, synced to disk, then renamed. After a failure the temporary file is removed. The target of a link is replaced,
 * not the link; a device or a pipe (`/dev/stdout`) is written to.
 *
 * @throws errors of the chunks and of the file system; AbortError.
 */
export async function writeAtomically(name: string, chunks: Chunks, signal?: AbortSignal): Promise<void> {
  const { file, isRegular } = await targetOf(name);
  if (!isRegular) {
    await writeFile(file, chunks, { flag: 'a', signal });
    return;
  }
  const temporary = temporaryOf(file);
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

/** Before long work: resolves if the file can be written then. Its content stays. @throws errors of the file system */
export async function assertWritable(name: string): Promise<void> {
  const { file, isRegular } = await targetOf(name);
  if (!isRegular) {
    await access(file, constants.W_OK);
    return;
  }
  const temporary = temporaryOf(file);
  const handle = await open(temporary, 'wx', 0o600);
  await handle.close();
  await rm(temporary, { force: true });
}

async function targetOf(name: string): Promise<{ readonly file: string; readonly isRegular: boolean }> {
  const found = await stat(name).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return { file: name, isRegular: true };
  if (found.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
  return found.isFile() ? { file: await realpath(name), isRegular: true } : { file: name, isRegular: false };
}

function temporaryOf(file: string): string {
  return `${file}.${process.pid}.tmp`;
}

/** Makes the new name survive a power failure, if directories can be synced. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
