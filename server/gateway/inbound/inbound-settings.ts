/** The limits of what transports may send. */
export interface InboundSettings {
  /** Commands of one connection, and their bytes, that may be under way before it is not read for a while. */
  readonly maxInflightCommands: number;
  readonly maxInflightBytes: number;
  /** The same for all connections together. */
  readonly totalInflightBytes: number;
  /** Bytes that a client may send before it has joined. */
  readonly maxJoinBytes: number;
  /** Largest frame, and largest packet with its binary parts. */
  readonly transportLimitBytes: number;
  /** 0: no limit. */
  readonly wastePacketsPerSec: number;
  /** Binary parts have to be complete within this time. A transport that is not read stays alive for twice this time. */
  readonly clientTimeoutMs: number;
}
