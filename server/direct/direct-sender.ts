import type { Connection } from '../protocol/connection.js';
import type { MessageTrace } from '../tracing/message-tracer.js';

/** A message to one user. */
export interface DirectRequest {
  readonly id: string;
  /** User id; null for the program that embeds the service. */
  readonly from: string | null;
  /** The connection that waits for the answer. */
  readonly sentBy: Connection;
  readonly to: string;
  readonly payloadJson: string;
  readonly attachments: readonly Buffer[];
  readonly key?: string;
  readonly confirm: 'stored' | 'delivered';
  readonly timeoutMs: number;
  /** Called when the message is in the inbox. */
  readonly onStored?: () => void;
  /** Called right before the message is stored, see `PublishRequest.recheck`. */
  readonly recheck: () => void;
  readonly trace?: MessageTrace;
}

/** The answer of `direct`. */
export interface DirectAnswer {
  id: string;
  sequence: number;
  /** Number of connections that acknowledged the message. */
  delivered: number;
  /** True until a connection acknowledges the message: it waits in the inbox of the user. */
  queued: boolean;
  /** Number of the user's connections to which the message was sent. */
  recipients: number;
  duplicate?: true;
  /** Set if a trace was requested: whether the message is traced. */
  traced?: boolean;
}

/** Sends direct messages. */
export interface DirectSender {
  send(request: DirectRequest): Promise<DirectAnswer>;
}
