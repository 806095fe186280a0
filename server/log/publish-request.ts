/** Prefix of the service's own logs (inboxes). Clients cannot use such names. */
export const serviceLogPrefix = '$';

/** A message to be published in a topic. Its payload is already validated (see `protocol/payload.ts`). */
export interface PublishRequest {
  readonly id: string;
  readonly topic: string;
  /** JSON text of the payload, with Socket.IO placeholders for `attachments`. */
  readonly payloadJson: string;
  readonly attachments: readonly Buffer[];
  /** User id; null for the service. */
  readonly sender: string | null;
  /** Idempotency key from the client. */
  readonly key?: string | undefined;
  /** Replica to which delivery confirmations are reported. */
  readonly confirmTo?: string | undefined;
  /**
   * Called right before the message is stored, if something has changed since it was accepted; throws if the sender may
   * not publish it any more.
   */
  readonly recheck?: () => void;
  /** The message is being traced; `routed` is called when it is passed to the log. */
  readonly trace?: { readonly routed: () => void } | undefined;
}
