import { readFile, rm, stat } from 'node:fs/promises';
import { z } from 'zod';
import type { RestoreProgress } from '../sessions/backup/session-restore.js';
import { usageError } from './cli-error.js';
import { writeAtomically } from './atomic-file.js';

const checkpointSchema = z.object({
  size: z.int(),
  modified_ms: z.number(),
  handled: z.int().min(0),
  restored: z.int(),
  kept: z.int(),
  invalid: z.int(),
  errors: z.array(
    z.object({ index: z.int(), id: z.string().exactOptional(), field: z.string(), rule: z.string() }),
  ),
});

/** The progress of the restore of a file, in `<file>.progress`. */
export class RestoreCheckpoint {
  private readonly path: string;

  constructor(private readonly file: string) {
    this.path = `${file}.progress`;
  }

  /** Undefined if there is none. @throws CliError if the file has changed since */
  async read(): Promise<RestoreProgress | undefined> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const { size, modified_ms: modifiedAt, ...progress } = this.parse(text);
    const now = await stat(this.file);
    if (now.size !== size || now.mtimeMs !== modifiedAt)
      throw usageError(`${this.file} has changed since`, 'restore it from the start, without --resume');
    return progress;
  }

  async write(progress: RestoreProgress): Promise<void> {
    const { size, mtimeMs } = await stat(this.file);
    await writeAtomically(this.path, [JSON.stringify({ size, modified_ms: mtimeMs, ...progress })]);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private parse(text: string): z.output<typeof checkpointSchema> {
    try {
      return checkpointSchema.parse(JSON.parse(text));
    } catch {
      throw usageError(
        `${this.path} is no progress of a restore`,
        'restore from the start, without --resume',
      );
    }
  }
}
