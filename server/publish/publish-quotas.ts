import type { StoreMemory } from '../limits/store-memory.js';
import type { AppendReceipt } from '../log/broker.js';
import type { PublishRequest } from '../log/publish-request.js';

/** Called with the outcome of an admitted publish; undefined: it was not stored. */
export type PublishSettled = (receipt: AppendReceipt | undefined) => void;

interface PublishQuotasDependencies {
  /** The memory of the store; undefined if it cannot be full. */
  readonly memory: StoreMemory | undefined;
}

/** What users may store, checked before a message waits for the log. */
export class PublishQuotas {
  constructor(private readonly dependencies: PublishQuotasDependencies) {}

  /**
   * Admits a message. If a function is returned, it must be called with the outcome.
   *
   * @throws RefusalError `quota_exceeded` or `unavailable`
   */
  admit(request: PublishRequest): PublishSettled | undefined {
    const { memory } = this.dependencies;
    if (memory?.isBounded !== true) return undefined;
    // A user id is never empty: '' is the service itself.
    const settle = memory.admit(request.sender ?? '', bytesOf(request));
    return settle && ((receipt) => settle(receipt?.duplicate === false));
  }
}

/** Approximate size of a message in the log. */
function bytesOf({ topic, payloadJson, attachments, key = '' }: PublishRequest): number {
  let bytes = topic.length + payloadJson.length + 2 * key.length;
  for (const part of attachments) bytes += part.length;
  return bytes;
}
