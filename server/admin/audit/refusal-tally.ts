import type { AuditFields } from './audit-record.js';

interface Tally {
  readonly since: number;
  count: number;
  last: AuditFields;
}

/** Requests of one caller within this time become one record. */
const windowMs = 60_000;
/** Callers that are counted one by one; further ones are counted together. */
const callersMax = 1000;

/**
 * Sums up refused requests: the first of a caller is a record at once, those within a minute after it are one more record, with
 * their number and the last of them. A caller is a user at an address.
 */
export class RefusalTally {
  private readonly tallies = new Map<string, Tally>();

  constructor(
    private readonly dependencies: {
      readonly write: (fields: AuditFields) => Promise<void>;
      readonly now: () => number;
    },
  ) {}

  /** Resolves when the record is stored, if it is one. Never rejects. */
  async add(fields: AuditFields): Promise<void> {
    const { write, now } = this.dependencies;
    const key = this.keyOf(fields);
    const tally = this.tallies.get(key);
    if (tally !== undefined) {
      tally.count++;
      tally.last = fields;
      return;
    }
    this.tallies.set(key, { since: now(), count: 0, last: fields });
    await write(fields);
  }

  /** Writes what was counted in windows that have ended; with `all`, in all of them. Called regularly. */
  async sumUp(all = false): Promise<void> {
    const { write, now } = this.dependencies;
    const ended = [...this.tallies].filter(([, { since }]) => all || now() - since >= windowMs);
    for (const [key] of ended) this.tallies.delete(key);
    await Promise.all(
      ended
        .filter(([, { count }]) => count > 0)
        .map(([, { count, last }]) => write({ ...last, count: String(count) })),
    );
  }

  private keyOf(fields: AuditFields): string {
    const key = JSON.stringify([fields['user_id'], fields['address']]);
    return this.tallies.has(key) || this.tallies.size < callersMax ? key : 'others';
  }
}
