import { z } from 'zod';
import { count, positive, setting } from '../setting.js';

/** Topic actors, hooks and slow tasks, and what happens when they fail. */
export const actorSystem = z
  .strictObject({
    mailbox_capacity: setting(positive(1000), 'Publishes that may wait per topic and replica.'),
    overflow_strategy: setting(
      z.enum(['reject', 'drop_oldest']).default('reject'),
      'A full mailbox refuses the new publish (`reject`) or the oldest one (`drop_oldest`).',
    ),
    batch_max: setting(positive(500, 10_000), 'Largest number of messages in one append.'),
    idle_secs: setting(
      positive(60, 86_400),
      'An actor without traffic is removed after this time, or earlier if there are more than 10,000.',
    ),
    max_restarts: setting(
      count(5, 1000),
      'An actor that fails more often than this within `restart_window_secs` is stopped.',
    ),
    restart_window_secs: setting(positive(60, 3600), 'Failures are counted over this time.'),
    restart_backoff_ms: setting(
      positive(50, 60_000),
      'Wait before the first restart; it doubles with each failure, up to ten seconds.',
    ),
    hook_timeout_ms: setting(
      positive(1000, 60_000),
      'A hook that takes longer counts as failed; one of `hooks.module` is ended, with its thread.',
    ),
    pool_size: setting(
      positive(4, 64),
      'Number of slow tasks (webhooks, backups) that run at the same time, and of worker threads for `hooks.module`.',
    ),
  })
  .prefault({});
