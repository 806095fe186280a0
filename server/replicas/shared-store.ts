/** A record of a list, with the id the store gave it: ids ascend. */
export interface StoredRecord {
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
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
  fields(key: string): Promise<Map<string, string>>;
  field(key: string, field: string): Promise<string | undefined>;
  /** Sets fields of a map in one step; `undefined` removes one. Those of `absent` are set only where the map has none of that name. */
  setFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    absent?: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Adds to a list of which about the newest `limit` are kept. Resolves to the record's id. */
  append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string>;
  /** The newest records of a list, newest first; with `before`, those older than that id. */
  latest(key: string, limit: number, before?: string): Promise<StoredRecord[]>;
}
