import { z } from 'zod';
import type { Message } from '../../../shared/message.js';
import type { PublishAnswer } from '../../commands/publish.js';
import type { DirectAnswer } from '../../direct/direct-sender.js';
import type { PresenceAnswer } from '../../presence/presence-reader.js';
import { payloadField } from '../../protocol/request-fields.js';
import type { pairAnswer } from '../auth-routes.js';

/** Every answer that is no refusal has it. */
const ok = z.literal(true);

const sequence = z.int().min(0).describe('Consecutive within an epoch, from 1.');
const epoch = z.string().describe('Changes when the log was lost, or may have lost its last messages.');
const duplicate = z
  .literal(true)
  .exactOptional()
  .describe('A message with this key is stored already; this is its position.');
const traced = z.boolean().exactOptional().describe('If a trace was requested: whether there is one.');

const message = z.object({
  id: z.uuid(),
  topic: z.string(),
  sequence,
  epoch,
  payload: payloadField,
  sender: z.string().nullable().describe('User id of the publisher; null for the service itself.'),
  timestamp: z
    .number()
    .describe('Milliseconds since 1970, by the clock of Redis; without Redis, by that of the service.'),
  confirm: z.literal(true).exactOptional().describe('The publisher waits for acknowledgements.'),
}) satisfies z.ZodType<Message>;

const publish = z.object({
  id: z.uuid(),
  topic: z.string(),
  epoch,
  sequence,
  durability: z.enum(['memory', 'stored', 'replicated', 'fsynced']),
  duplicate,
  delivered: z
    .int()
    .exactOptional()
    .describe('With confirm: connections that have acknowledged the message.'),
  expected: z.int().exactOptional().describe('With confirm: connections that were to acknowledge it.'),
  traced,
}) satisfies z.ZodType<PublishAnswer>;

const direct = z.object({
  id: z.uuid(),
  sequence,
  delivered: z.int().describe('Connections of the user that have acknowledged the message.'),
  queued: z.boolean().describe('The message waits in the inbox, until a connection acknowledges it.'),
  recipients: z.int().describe('Connections of the user to which the message was sent.'),
  duplicate,
  traced,
}) satisfies z.ZodType<DirectAnswer>;

const position = z.object({ epoch: z.string(), sequence: z.int() });

const history = z.object({
  messages: z.array(message).describe('Oldest first.'),
  epoch,
  sequence: z.int().describe('The end of the log.'),
  complete: z.boolean().describe('No message is missing between the given position and the first one.'),
  truncated: z.literal(true).exactOptional().describe('There are further messages.'),
  next: z
    .object({ since: position.exactOptional(), before: position.exactOptional() })
    .exactOptional()
    .describe(
      'The next page: `since` as `epoch` and `sequence`, `before` as `before_epoch` and `before_sequence`.',
    ),
});

const presence = z.object({
  users: z.array(z.object({ user_id: z.string(), connections: z.int() })),
  count: z.int().describe('All users, also those of other pages.'),
  partial: z.literal(true).exactOptional().describe('Not all replicas could be read.'),
  truncated: z.literal(true).exactOptional().describe('There are further users.'),
  next: z.object({ cursor: z.string() }).exactOptional().describe('The next page: `cursor`.'),
}) satisfies z.ZodType<PresenceAnswer>;

/** What commands answer over HTTP. */
export const commandAnswers = {
  publish: z.object({ ok, ...publish.shape }),
  direct: z.object({ ok, ...direct.shape }),
  history: z.object({ ok, ...history.shape }),
  presence: z.object({ ok, ...presence.shape }),
} as const;

/** A pair of tokens. */
export const pairAnswerSchema = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.int().describe('Seconds.'),
  expires_at: z.int().describe('Milliseconds since 1970.'),
  refresh_token: z.string().describe('Can be used once.'),
  refresh_expires_at: z.int().describe('Milliseconds since 1970.'),
}) satisfies z.ZodType<ReturnType<typeof pairAnswer>>;
