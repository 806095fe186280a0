import type { MessageTrace } from '../tracing/message-tracer.js';

/** A message to one user. */
export interface DirectRequest {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly payloadJson: string;
  readonly attachments: readonly Buffer[];
  readonly key?: string;
  readonly confirm: 'stored' | 'delivered';
  readonly timeoutMs: number;
  readonly trace?: MessageTrace;
}

/** The answer of `direct`. */
export interface DirectAnswer {
  id: string;
  sequence: number;
  /** Connections that acknowledged. */
  delivered: number;
  /** True while nobody has acknowledged: the message waits in the user's inbox. */
  queued: boolean;
  /** Connections of the user that it was sent to. */
  recipients: number;
  duplicate?: true;
  /** Where a trace was asked for: whether there is one. */
  traced?: boolean;
}

/** Sends direct messages. */
export interface DirectSender {
  send(request: DirectRequest): Promise<DirectAnswer>;
}
