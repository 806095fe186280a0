import { z } from 'zod';
import { count, positive, setting } from '../setting.js';

/** Sessions that clients resume. */
export const sessions = z
  .strictObject({
    ttl_secs: setting(positive(3600), 'A session can be resumed for this long.'),
    max_per_user: setting(
      count(10_000),
      'Sessions kept of one user whose clients are not connected; of more, the oldest are dropped: they cannot be resumed. 0 for no limit.',
    ),
    max_bytes_per_user: setting(
      count(16_777_216),
      'Bytes of these sessions of one user, approximately; of more, the oldest are dropped. 0 for no limit.',
    ),
    memory_bytes: setting(
      positive(67_108_864, 1_000_000_000_000),
      'Without Redis: memory of all sessions whose clients are not connected, approximately. When it is used up, the oldest sessions of the users with most of it are dropped.',
    ),
  })
  .prefault({});
