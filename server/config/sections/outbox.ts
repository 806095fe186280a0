import { z } from 'zod';
import { positive, setting } from '../setting.js';

/** What waits for readers. */
export const outbox = z
  .strictObject({
    limit_messages: setting(positive(1000), 'Messages that may wait for one connection.'),
    limit_bytes: setting(positive(1_048_576), 'Bytes that may wait for one connection.'),
    total_bytes: setting(positive(268_435_456), 'Bytes that may wait for all connections of the replica.'),
    answer_total_bytes: setting(
      positive(16_777_216),
      'Bytes of large answers (`history`, `missed`, `presence`, lists of `/admin`) under way for all callers; one user may have a quarter. Further ones wait up to five seconds, then are refused with `busy`.',
    ),
    answer_timeout_secs: setting(
      positive(60, 3600),
      'A large HTTP answer that its client has not read within this time is aborted.',
    ),
    overflow_strategy: setting(
      z.enum(['catch_up', 'drop_oldest', 'drop_newest', 'disconnect']).default('catch_up'),
      'Treatment of slow readers.',
    ),
  })
  .prefault({});
