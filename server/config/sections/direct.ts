import { z } from 'zod';
import { positive, setting } from '../setting.js';

/** Direct messages and inboxes. */
export const direct = z
  .strictObject({
    confirm_timeout_ms: setting(
      positive(2000, 60_000),
      'Time to wait for a confirmed delivery, unless the request sets one.',
    ),
    inbox_size: setting(positive(1000), 'Unacknowledged direct messages kept per user; more are refused.'),
    inbox_bytes: setting(
      positive(8_388_608),
      'Bytes of unacknowledged direct messages kept per user; more are refused.',
    ),
    inbox_sender_percent: setting(
      z.int().min(1).max(100).default(50),
      'Share of one sender in `inbox_size` and `inbox_bytes`, so that nobody can fill the inbox of another user alone; 100 for no such limit.',
    ),
    inbox_ttl_secs: setting(
      positive(86_400),
      'The direct messages of a user expire this long after the last one.',
    ),
  })
  .prefault({});
