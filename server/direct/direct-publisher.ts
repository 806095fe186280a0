import type { Confirmations } from '../fanout/confirmations.js';
import type { Topics } from '../topics/topics.js';
import type { DirectAnswer, DirectRequest, DirectSender } from './direct-sender.js';
import type { AppendReceipt, LogSize } from '../log/broker.js';
import { inboxOf } from './inbox-name.js';

interface DirectPublisherDependencies {
  readonly topics: Pick<Topics, 'publish'>;
  readonly confirmations: Confirmations;
  /** Called with the recipient, and what the inbox holds, if that is known: not for a repetition. */
  readonly onStored: (to: string, held: LogSize | undefined) => void;
}

/** Publishes direct messages into the inboxes of their recipients, and waits for acknowledgements. */
export class DirectPublisher implements DirectSender {
  constructor(private readonly dependencies: DirectPublisherDependencies) {}

  // Not `async`: that would hold the payload while the message waits for its recipients.
  send({ payloadJson, attachments, ...request }: DirectRequest): Promise<DirectAnswer> {
    const { topics, confirmations } = this.dependencies;
    const { id, from, to, recheck, key, trace } = request;
    const topic = inboxOf(to);
    confirmations.expect(id, topic, request.sentBy);
    const stored = topics.publish({
      id,
      topic,
      payloadJson,
      attachments,
      sender: from,
      recheck,
      confirmTo: confirmations.replicaId,
      key,
      trace,
    });
    return this.answer(stored, request);
  }

  private async answer(
    stored: Promise<AppendReceipt>,
    request: Omit<DirectRequest, 'payloadJson' | 'attachments'>,
  ): Promise<DirectAnswer> {
    const { confirmations, onStored } = this.dependencies;
    const { id, trace } = request;
    try {
      const receipt = await stored;
      trace?.stored(receipt);
      onStored(request.to, receipt.held);
      request.onStored?.();
      const until = request.confirm === 'delivered' ? 'acknowledged' : 'sent';
      const { delivered, expected } = await confirmations.wait(receipt, request.timeoutMs, until);
      if (delivered > 0) trace?.confirmed(delivered, expected);
      const answer: DirectAnswer = {
        id: receipt.id,
        sequence: receipt.sequence,
        delivered,
        queued: delivered === 0,
        recipients: expected,
      };
      if (receipt.duplicate) answer.duplicate = true;
      return answer;
    } finally {
      confirmations.cancel(id);
    }
  }
}
