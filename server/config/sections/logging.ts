import { z } from 'zod';
import { isLogFilter, logFilterRule } from '../../logging/log-filter.js';
import { setting } from '../setting.js';

/** The log. */
export const logging = z
  .strictObject({
    level: setting(
      z.string().refine(isLogFilter, logFilterRule).default('info'),
      'Log filter: a level, or levels by module such as `routing=debug,info`.',
    ),
    format: setting(z.enum(['json', 'pretty']).default('json'), '`pretty` is easier to read for people.'),
  })
  .prefault({});
