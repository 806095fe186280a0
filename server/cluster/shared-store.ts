/** A record of a list. Its id is assigned by the store; ids ascend. */
export interface StoredRecord {
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The value of a field of a last-write-wins map. */
export interface TimestampedValue {
  /**
   * The time of the write: microseconds since 1970 by the clock of the store, raised if needed so that
   * timestamps of a map ascend.
   */
  readonly timestamp: number;
  /** `undefined`: a tombstone. It shows that the field was removed and not lost. */
  readonly value: string | undefined;
}

export interface TimestampedEntry extends TimestampedValue {
  readonly field: string;
}

/** A last-write-wins map at one moment. */
export interface TimestampedFields {
  /** Differs after each change, and in another state of the store; `undefined`: nothing was ever written. */
  readonly version: string | undefined;
  /** Tombstones included. */
  readonly fields: ReadonlyMap<string, TimestampedValue>;
}

/**
 * Small state that the replicas share: in Redis, or in memory if a replica runs alone. Keys are names of this
 * service (`control`, `refresh:<id>`); the driver adds its prefix. While Redis is unreachable every call
 * rejects with `RefusalError('unavailable')`, and nothing is changed. A change that was sent and not answered
 * in time rejects with `outcome_unknown`: it may have been made, or may still be made.
 */
export interface SharedStore {
  get(key: string): Promise<string | undefined>;
  /** Sets a value; with `ttlMs` it expires. */
  set(key: string, value: string, ttlMs?: number): Promise<void>;
  /**
   * Sets a value unless there is one already. Resolves to false if there is one; it stays unchanged. The
   * first of several callers wins.
   */
  setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean>;
  /**
   * Sets a value if the present one is still `before`. Resolves to false if it is another one or there is none;
   * nothing is changed then.
   */
  replace(key: string, before: string, value: string, ttlMs: number): Promise<boolean>;
  /** False if there was nothing. */
  delete(key: string): Promise<boolean>;
  /** Reads a last-write-wins map. Names of its fields must not begin with `#`. */
  readFields(key: string): Promise<TimestampedFields>;
  /** Reads only the version: cheap enough to be called often. */
  fieldsVersion(key: string): Promise<string | undefined>;
  /**
   * Writes fields of a last-write-wins map in one step; `undefined` leaves a tombstone. Resolves to the
   * timestamp of all these fields. It is greater than any in the map, and greater than `above`: a timestamp
   * that the caller has seen, possibly from a store whose clock was ahead.
   */
  writeFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    above?: number,
  ): Promise<number>;
  /**
   * Restores each entry, with its timestamp, whose field is missing or has a smaller timestamp. If anything
   * is written, the version changes.
   */
  restoreFields(key: string, entries: readonly TimestampedEntry[]): Promise<void>;
  /** Deletes fields with their tombstones, if they still have the given timestamp. The version stays. */
  forgetFields(key: string, entries: readonly Pick<TimestampedEntry, 'field' | 'timestamp'>[]): Promise<void>;
  /** Appends to a list that keeps about the newest `limit` records. Resolves to the id of the record. */
  append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string>;
  /** The newest records of a list, newest first; with `before`, those older than that id. */
  latest(key: string, limit: number, before?: string): Promise<StoredRecord[]>;
}
