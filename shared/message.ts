/** Any JSON value; on Socket.IO also with `Buffer`s (binary parts) anywhere inside. */
export type Payload = unknown;

/** A message as every client sees it. */
export interface Message {
  /** UUIDv7 given by the service. */
  readonly id: string;
  readonly topic: string;
  readonly sequence: number;
  readonly epoch: string;
  readonly payload: Payload;
  /** User id of the publisher; null for the service itself. */
  readonly sender: string | null;
  /** Milliseconds since 1970, of the replica that took the message. */
  readonly timestamp: number;
  /** Present and true when the publisher waits for this message to be acknowledged. */
  readonly confirm?: true;
}

/** Key under which a binary part appears, as base64, where the wire is JSON text: `{ "$base64": "AAEC" }`. */
export const base64Key = '$base64';
