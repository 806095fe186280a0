import { z } from 'zod';
import { positive, setting } from '../setting.js';

/** Sessions that clients resume. */
export const sessions = z
  .strictObject({
    ttl_secs: setting(positive(3600), 'A session can be resumed for this long.'),
  })
  .prefault({});
