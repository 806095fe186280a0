import { readBackup } from './backup-reader.js';
import { readSession, type SessionProblem } from '../session-schema.js';
import type { PutResult, StoredSession } from '../session-store.js';

/** A session of a backup that was not restored. */
interface InvalidSession extends SessionProblem {
  /** Its index in the file, from 0. */
  readonly index: number;
  readonly id?: string;
}

/** The result of a restore. */
export interface RestoreReport {
  readonly restored: number;
  /** The stored session was newer. */
  readonly kept: number;
  readonly invalid: number;
  /** The first invalid sessions. */
  readonly errors: readonly InvalidSession[];
}

/** Progress of a restore: all sessions before `handled` are done. */
export interface RestoreProgress extends RestoreReport {
  readonly handled: number;
}

interface RestoreDependencies {
  /** Writes sessions, see {@link SessionStore.putMany}. */
  readonly putMany: (
    sessions: readonly StoredSession[],
    options: { readonly overwrite: boolean },
  ) => Promise<PutResult>;
  readonly onBatch?: (progress: RestoreProgress) => Promise<void> | void;
}

export interface RestoreSettings {
  readonly overwrite: boolean;
  /** Sessions written by one call. */
  readonly batchSize?: number;
  /** Progress of an interrupted restore of the same file. */
  readonly from?: RestoreProgress;
}

/** Number of invalid sessions that are listed; all are counted. */
const listedMax = 20;

const nothing: RestoreProgress = { handled: 0, restored: 0, kept: 0, invalid: 0, errors: [] };

/**
 * Restores the sessions of a backup in batches: valid ones are written, invalid ones reported. It can be
 * repeated safely.
 */
export class SessionRestore {
  private done: RestoreProgress;
  private stopped = false;

  constructor(
    private readonly dependencies: RestoreDependencies,
    private readonly settings: RestoreSettings,
  ) {
    this.done = settings.from ?? nothing;
  }

  /** The sessions handled so far; also correct after `run` rejected. */
  get progress(): RestoreProgress {
    return this.done;
  }

  /** Ends `run` after the current batch is written. */
  stop(): void {
    this.stopped = true;
  }

  /**
   * Resolves to true when the whole file was read, to false if stopped before.
   *
   * @throws BackupError if the file is damaged, after the sessions before that place were written; errors of
   * store and source.
   */
  async run(source: AsyncIterable<Uint8Array>): Promise<boolean> {
    const { batchSize = 1000 } = this.settings;
    const skip = this.done.handled;
    let batch: unknown[] = [];
    let index = 0;
    try {
      for await (const value of readBackup(source)) {
        if (index++ >= skip) batch.push(value);
        if (batch.length < batchSize) continue;
        const full = batch;
        batch = [];
        await this.write(full);
        if (this.stopped) return false;
      }
    } finally {
      // Also write the sessions that were read before the damage.
      if (batch.length > 0 && !this.stopped) await this.write(batch);
    }
    return !this.stopped;
  }

  private async write(values: readonly unknown[]): Promise<void> {
    const { handled, restored, kept, invalid, errors } = this.done;
    const sessions: StoredSession[] = [];
    const bad: InvalidSession[] = [];
    values.forEach((value, i) => {
      const read = readSession(value);
      if ('session' in read) sessions.push(read.session);
      else bad.push({ index: handled + i, ...idOf(value), ...read.problem });
    });
    const { overwrite } = this.settings;
    const result =
      sessions.length === 0
        ? { written: 0, kept: 0 }
        : await this.dependencies.putMany(sessions, { overwrite });
    this.done = {
      handled: handled + values.length,
      restored: restored + result.written,
      kept: kept + result.kept,
      invalid: invalid + bad.length,
      errors: [...errors, ...bad].slice(0, listedMax),
    };
    await this.dependencies.onBatch?.(this.done);
  }
}

function idOf(value: unknown): { id?: string } {
  const id = (value as { id?: unknown } | null)?.id;
  return typeof id === 'string' ? { id: id.slice(0, 100) } : {};
}
