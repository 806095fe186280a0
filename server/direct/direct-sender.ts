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
  /** Number of connections that acknowledged. */
  delivered: number;
  /** True until a connection acknowledges: the message waits in the inbox of the user. */
  queued: boolean;
  /** Number of connections of the user that it was sent to. */
  recipients: number;
  duplicate?: true;
  /** If a trace was requested: whether there is one. */
  traced?: boolean;
}

/** Sends direct messages. */
export interface DirectSender {
  send(request: DirectRequest): Promise<DirectAnswer>;
}
