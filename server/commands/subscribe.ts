import { z } from 'zod';
import { RefusalError, type WireError } from '../../shared/errors.js';
import type { ServerFrame } from '../protocol/server-frame.js';
import { rejectionOf, type SubscriptionGate } from '../topics/subscription-gate.js';
import { readPosition } from '../topics/start-position.js';
import type { Subscribed } from '../topics/topics.js';
import { statusFrame, type Command } from './command.js';
import { topicsField } from '../protocol/request-fields.js';

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const schema = z.strictObject({
  topics: topicsField,
  /**
   * Positions by topic, of other topics too: only those of `topics` are looked at. Each is read by itself: a wrong one costs its topic the recovery,
   * nothing more.
   */
  since: z.custom<Readonly<Record<string, unknown>>>(isRecord, 'must be an object').optional(),
  /** Also send `presence` events of these topics. */
  presence: z.boolean().optional(),
});

interface SubscribeAnswer {
  topics: Subscribed[];
  rejected: { topic: string; error: WireError }[];
}

/** What operators switch off together with this command, whatever subscribes. */
export const subscribing = { name: 'subscribe', refusedIn: ['maintenance'] } as const;

/** `subscribe`: each topic succeeds or is rejected by itself. */
export function subscribeCommand({
  gate,
}: {
  readonly gate: Pick<SubscriptionGate, 'subscribe'>;
}): Command<z.output<typeof schema>, SubscribeAnswer> {
  return {
    name: 'subscribe',
    schema,
    frame: { type: 'Subscribe', answer: subscribedFrames },
    refusedIn: subscribing.refusedIn,
    order: { mode: 'alone', topics: ({ topics }) => topics },
    async run(connection, { topics, since, presence = false }, turn) {
      const requests = [...new Set(topics)].map((topic, i) => ({
        topic,
        field: `topics[${i}]`,
        since: since !== undefined && Object.hasOwn(since, topic) ? readPosition(since[topic]) : undefined,
        presence,
      }));
      const answer: SubscribeAnswer = { topics: [], rejected: [] };
      for (const outcome of await gate.subscribe(connection, requests, (topic) => turn.doneWith(topic))) {
        if ('subscribed' in outcome) answer.topics.push(outcome.subscribed);
        else if (outcome.error instanceof RefusalError)
          answer.rejected.push(rejectionOf(outcome.topic, outcome.error));
        else throw outcome.error;
      }
      return answer;
    },
  };
}

function subscribedFrames({ topics, rejected }: SubscribeAnswer): ServerFrame[] {
  return [
    statusFrame('subscribed', { topics: topics.map(({ topic }) => topic), positions: topics, rejected }),
  ];
}
