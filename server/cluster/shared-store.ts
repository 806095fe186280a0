/** A record of a list, with the id the store gave it: ids ascend. */
export interface StoredRecord {
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** What a field of a stamped map holds. */
export interface Stamped {
  /** When it was written: microseconds since 1970 by the clock of the store, raised where needed so that stamps of a map ascend. */
  readonly stamp: number;
  /** `undefined`: a tombstone. The field was removed, which is kept so that nobody takes it for lost. */
  readonly value: string | undefined;
}

export interface StampedEntry extends Stamped {
  readonly field: string;
}

/** A stamped map as it was at one moment. */
export interface StampedFields {
  /** Another one after each change, and in another state of the store; `undefined`: nothing was ever written. */
  readonly version: string | undefined;
  /** Tombstones included. */
  readonly fields: ReadonlyMap<string, Stamped>;
}

/**
 * Small state that the replicas share: in Redis, or in memory where a replica is alone. Keys are names of this service
 * (`control`, `refresh:<id>`); the driver puts its prefix before them. While Redis is away everything rejects with
 * `RefusalError('unavailable')`, and nothing is changed then. A change that was sent and not answered in time rejects with
 * `outcome_unknown`: it may have been made, or may be made yet.
 */
export interface SharedStore {
  get(key: string): Promise<string | undefined>;
  /** Sets a value; with `ttlMs` it expires. */
  set(key: string, value: string, ttlMs?: number): Promise<void>;
  /** Sets a value that is not there yet; false, and nothing is changed, if it is. The first of several callers wins. */
  setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean>;
  /** False if there was nothing. */
  delete(key: string): Promise<boolean>;
  /** All of a stamped map. Names of its fields must not begin with `#`. */
  stampedFields(key: string): Promise<StampedFields>;
  /** The version alone: asking for it often is cheap. */
  fieldsVersion(key: string): Promise<string | undefined>;
  /**
   * Writes fields of a stamped map in one step; `undefined` leaves a tombstone. Resolves to the stamp that all of them have got: greater
   * than any in the map, and greater than `above`, which the caller may know from a store whose clock was ahead of this one's.
   */
  stampFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    above?: number,
  ): Promise<number>;
  /** Writes back, with the stamp it had, each entry whose field is not there or has a smaller stamp; the version is another one then. */
  restoreFields(key: string, entries: readonly StampedEntry[]): Promise<void>;
  /** Removes fields without a trace, those that still have the given stamp. The version stays. */
  forgetFields(key: string, entries: readonly Pick<StampedEntry, 'field' | 'stamp'>[]): Promise<void>;
  /** Adds to a list of which about the newest `limit` are kept. Resolves to the record's id. */
  append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string>;
  /** The newest records of a list, newest first; with `before`, those older than that id. */
  latest(key: string, limit: number, before?: string): Promise<StoredRecord[]>;
}
