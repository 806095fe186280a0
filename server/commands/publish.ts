import { z } from 'zod';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import type { Durability, AppendReceipt } from '../log/broker.js';
import type { Topics } from '../topics/topics.js';
import { senderOf, type Connection } from '../protocol/connection.js';
import { payloadBytes, type UserQuotas } from '../limits/user-quotas.js';
import type { StillAdmitted } from './still-admitted.js';
import { ackFrame, type Command } from './command.js';
import type { readPayload, PayloadLimits } from '../protocol/payload.js';
import {
  confirmField,
  keyField,
  payloadField,
  timeoutField,
  topicField,
  traceField,
} from '../protocol/request-fields.js';
import type { MessageTrace, MessageTracer } from '../tracing/message-tracer.js';

/** Waits for subscribers to acknowledge a message. */
interface DeliveryConfirmations {
  /** Name of this replica, to which confirmations are reported. */
  readonly replicaId: string;
  /** Starts to collect acknowledgements of a message that is about to be published. */
  expect(messageId: string, topic: string, publisher?: Connection): void;
  /** Resolves when all subscribers have acknowledged, or after the time limit. */
  wait(receipt: AppendReceipt, timeoutMs: number): Promise<{ delivered: number; expected: number }>;
  /** Called when nothing more is awaited for the message. */
  cancel(messageId: string): void;
}

interface PublishDependencies {
  readonly topics: Topics;
  readonly permissions: Permissions;
  readonly confirmations: DeliveryConfirmations;
  readonly newId: () => string;
  readonly tracer: Pick<MessageTracer, 'begin'>;
  /** Throws to refuse publishes to a topic, for every caller. */
  readonly checkTopic: (topic: string) => void;
  /** Checks again whether the client may publish at all. */
  readonly stillAdmitted: StillAdmitted;
  /** Checks a payload and makes it a text. */
  readonly readPayload: typeof readPayload;
  /** Counts the bytes of a payload; throws to refuse it. */
  readonly admitBytes: UserQuotas['admitBytes'];
  /** Called with each message that waits for its append, and the bytes of its payload. */
  readonly onQueued: (connection: Connection, topic: string, bytes: number) => void;
  /** Called with each stored message. */
  readonly onPublished: (receipt: AppendReceipt, connectionId: string, tookMs: number) => void;
}

interface PublishSettings extends PayloadLimits {
  readonly confirmTimeoutMs: number;
}

const schema = z.strictObject({
  topic: topicField,
  payload: payloadField,
  key: keyField.optional(),
  confirm: confirmField.optional(),
  timeout_ms: timeoutField.optional(),
  trace: traceField.optional(),
});

const publishing = { name: 'publish', refusedIn: ['read_only', 'maintenance'] } as const;

/** The answer of `publish`. */
export interface PublishAnswer {
  id: string;
  topic: string;
  epoch: string;
  sequence: number;
  durability: Durability;
  duplicate?: true;
  delivered?: number;
  expected?: number;
  /** If a trace was requested: whether there is one. */
  traced?: boolean;
}

/** `publish`: answered once the message is in the log, or, with `confirm: "delivered"`, once subscribers have acknowledged it. */
export function publishCommand(
  {
    topics,
    permissions,
    confirmations,
    newId,
    tracer,
    checkTopic,
    stillAdmitted,
    readPayload,
    admitBytes,
    onQueued,
    onPublished,
  }: PublishDependencies,
  settings: PublishSettings,
): Command<z.output<typeof schema>, PublishAnswer> {
  return {
    name: 'publish',
    schema,
    carriesPayload: true,
    frame: {
      type: 'Broadcast',
      answer: (answer, { id }) =>
        // Without an id no answer is asked for: the message itself comes back to subscribers.
        id === undefined ? [] : [ackFrame(answer)],
    },
    refusedIn: publishing.refusedIn,
    // The actor of the topic keeps their order.
    order: { mode: 'together', topics: ({ topic }) => [topic] },
    async run(connection, request, turn) {
      const startedAt = performance.now();
      const id = newId();
      const trace = tracer.begin(connection, 'publish', id, request.topic, request.trace === true);
      const confirmed = request.confirm === 'delivered';
      let receipt: AppendReceipt;
      try {
        receipt = await store(connection, request, id, trace);
        turn.done();
        trace?.stored(receipt);
      } catch (error) {
        if (confirmed) confirmations.cancel(id);
        trace?.failed(error);
        throw error;
      }
      onPublished(receipt, connection.id, performance.now() - startedAt);
      const answer: PublishAnswer = {
        id: receipt.id,
        topic: request.topic,
        epoch: receipt.epoch,
        sequence: receipt.sequence,
        durability: receipt.durability,
      };
      if (receipt.duplicate) answer.duplicate = true;
      if (request.trace === true) answer.traced = trace !== undefined;
      if (!confirmed) return answer;
      try {
        const timeoutMs = request.timeout_ms ?? settings.confirmTimeoutMs;
        const confirmation = await confirmations.wait(receipt, timeoutMs);
        trace?.confirmed(confirmation.delivered, confirmation.expected);
        return Object.assign(answer, confirmation);
      } finally {
        // The receipt of a repetition has the id of the first message.
        confirmations.cancel(id);
      }
    },
  };

  /** Not `async`: that would hold the payload, and its text, while the message waits for the log, which has them encoded. */
  function store(
    connection: Connection,
    request: z.output<typeof schema>,
    id: string,
    trace: MessageTrace | undefined,
  ): Promise<AppendReceipt> {
    const topic = readTopicName(request.topic, 'topic');
    const confirmed = request.confirm === 'delivered';
    const check = () => {
      permissions.check(connection.identity, 'publish', topic);
      checkTopic(topic);
    };
    check();
    const { json, attachments } = readPayload(request.payload, connection.wire, settings);
    request.payload = undefined;
    admitBytes(connection, json, attachments);
    trace?.validated();
    if (confirmed) confirmations.expect(id, topic, connection);
    const stored = topics.publish({
      id,
      topic,
      payloadJson: json,
      attachments,
      sender: senderOf(connection),
      recheck: () => {
        stillAdmitted(connection, publishing);
        check();
      },
      key: request.key,
      confirmTo: confirmed ? confirmations.replicaId : undefined,
      trace,
    });
    onQueued(connection, topic, payloadBytes(json, attachments));
    return stored;
  }
}
