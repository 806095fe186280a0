import { z } from 'zod';
import { count, positive, setting, topicPattern } from '../setting.js';

const topicRule = z.strictObject({
  pattern: topicPattern,
  history_size: z.int().min(0).max(10_000_000).optional(),
  history_ttl_secs: z.int().min(1).optional(),
  idempotency_window_secs: z.int().min(1).optional(),
  latency_target_ms: z.int().min(0).max(1000).optional(),
  fanout_window_max_ms: z.int().min(0).max(5000).optional(),
});

/** Topics: what is kept of them, and how their messages are delivered. */
export const topics = z
  .strictObject({
    history_size: setting(count(10_000, 10_000_000), 'Messages kept per topic.'),
    history_ttl_secs: setting(positive(3600), 'History expires this long after the last message.'),
    idempotency_window_secs: setting(positive(300), 'A repeated `key` is recognised for this long.'),
    idempotency_scope: setting(
      z.enum(['sender', 'topic']).default('sender'),
      'Whom a `key` belongs to: the topic and the sender, or, with `topic`, the topic alone, so that several senders can publish the same message once. Then a sender can take a key away from the others.',
    ),
    position_check_secs: setting(positive(25, 3600), 'A quiet topic is compared with its log this often.'),
    latency_target_ms: setting(
      count(5, 1000),
      'A busy topic collects messages for this long before it writes them to all subscribers, even if the event loop has room: no processor time is spent to be faster. A topic whose messages come further apart writes each at once.',
    ),
    fanout_window_ms: setting(
      z.int().min(0).max(1000).optional(),
      'Older name of `latency_target_ms`; if it is set, it applies.',
    ),
    fanout_window_max_ms: setting(
      count(100, 5000),
      'Longest time to collect messages: reached where a write to all subscribers is expensive and the event loop is busy.',
    ),
    memory_bytes: setting(
      positive(268_435_456, 1_000_000_000_000),
      'Without Redis: memory of all histories and inboxes. When it is used up, the oldest messages of the largest histories are removed early.',
    ),
    max_history_answer: setting(
      positive(1000, 10_000),
      'Largest number of messages in one answer of `history` or `missed`.',
    ),
    max_history_answer_bytes: setting(
      positive(524_288, 16_777_216),
      'Largest answer of `history`, `missed`, `presence` or a list of `/admin`, in bytes; a larger message comes alone. `next` in the answer continues it.',
    ),
    catch_up_cache_bytes: setting(
      count(33_554_432),
      'Memory for blocks of logs that many slow readers read.',
    ),
    rules: setting(
      z.array(topicRule).default([]),
      'Different settings by topic pattern; the first match applies.',
    ),
  })
  .prefault({});
