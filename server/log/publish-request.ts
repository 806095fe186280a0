/** Names of the service's own logs (inboxes) begin with this; clients cannot use them. */
export const serviceLogPrefix = '$';

/** A message on its way into a topic; the payload has been read and checked (see `protocol/payload.ts`). */
export interface PublishRequest {
  readonly topic: string;
  /** JSON text of the payload, with Socket.IO placeholders where `attachments` belong. */
  readonly payloadJson: string;
  readonly attachments: readonly Buffer[];
  /** User id; null for the service. */
  readonly sender: string | null;
  /** Idempotency key as the client gave it. */
  readonly key?: string;
  /** Replica to which delivery confirmations are reported. */
  readonly confirmTo?: string;
  /** Given when the caller needs the id beforehand; otherwise made here. */
  readonly id?: string;
  /** The message is being traced; `routed` is called when it is given to the log. */
  readonly trace?: { readonly routed: () => void };
}
