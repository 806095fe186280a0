import type { RefusalError } from '../../shared/errors.js';
import type { StoreMemory } from '../limits/store-memory.js';
import type { UserQuotas } from '../limits/user-quotas.js';
import type { AppendReceipt } from '../log/broker.js';
import type { PublishRequest } from '../log/publish-request.js';
import { TopicCreations } from './topic-creations.js';

/** An admitted publish. */
export interface AdmittedPublish {
  /** Set if the sender may create no more topics: the refusal if the topic does not exist. */
  readonly noNewTopic?: () => RefusalError;
  /** Must be called with the outcome; undefined: it was not stored. */
  readonly settled: (receipt: AppendReceipt | undefined) => void;
}

interface PublishQuotasDependencies {
  /** The memory of the store; undefined if it cannot be full. */
  readonly memory: StoreMemory | undefined;
  readonly users: UserQuotas;
}

/** What users may store, checked before a message waits for the log. */
export class PublishQuotas {
  private readonly creations: TopicCreations;

  constructor(private readonly dependencies: PublishQuotasDependencies) {
    this.creations = new TopicCreations(dependencies.users);
  }

  /**
   * Admits a message; undefined: there are no limits. `isKnown`: messages were stored in its topic lately.
   *
   * @throws RefusalError `quota_exceeded` or `unavailable`
   */
  admit(request: PublishRequest, isKnown: boolean): AdmittedPublish | undefined {
    const { memory, users } = this.dependencies;
    const { sender } = request;
    const isBounded = memory?.concerns(request) === true;
    const isLimited = sender !== null && users.limitsStored;
    if (!isBounded && !isLimited) return undefined;
    const bytes = bytesOf(request);
    // What can refuse comes first, or gives back what was reserved before it.
    const settleStored = isLimited ? users.admitStored(sender, bytes) : undefined;
    let settleMemory: ((isStored: boolean) => void) | undefined;
    try {
      // A user id is never empty: '' is the service itself.
      settleMemory = isBounded ? memory.admit(sender ?? '', bytes) : undefined;
    } catch (error) {
      settleStored?.(false);
      throw error;
    }
    const creation =
      isLimited && users.limitsTopics ? this.creations.begin(sender, request.topic, isKnown) : undefined;
    const noNewTopic = creation?.noNewTopic;
    return {
      ...(noNewTopic && { noNewTopic }),
      settled: (receipt) => {
        const isStored = receipt?.duplicate === false;
        settleMemory?.(isStored);
        settleStored?.(isStored);
        creation?.settled(isStored && receipt.sequence === 1);
      },
    };
  }
}

/** Approximate size of a message in the log. */
function bytesOf({ topic, payloadJson, attachments, key = '' }: PublishRequest): number {
  let bytes = topic.length + Buffer.byteLength(payloadJson) + 2 * key.length;
  for (const part of attachments) bytes += part.length;
  return bytes;
}
