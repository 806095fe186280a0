/** Any JSON value; on Socket.IO also with `Buffer`s (binary parts) anywhere inside. */
export type Payload = unknown;

/** A message in the form that clients receive. */
export interface Message {
  /** UUIDv7 made by the service. */
  readonly id: string;
  readonly topic: string;
  readonly sequence: number;
  readonly epoch: string;
  readonly payload: Payload;
  /** User id of the publisher; null for the service itself. */
  readonly sender: string | null;
  /** When the message was accepted, in milliseconds since 1970, by the clock of Redis; without Redis, by that of the service. */
  readonly timestamp: number;
  /** Present and true if the publisher waits for acknowledgements of this message. */
  readonly confirm?: true;
}

/** Key of a binary part, as base64, on wires with JSON text: `{ "$base64": "AAEC" }`. */
export const base64Key = '$base64';
