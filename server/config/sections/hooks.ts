import { z } from 'zod';
import { optionalText, positive, setting } from '../setting.js';

/** A module with hooks for the service that no program embeds. */
export const hooks = z
  .strictObject({
    module: setting(
      optionalText(),
      'Module with hooks, a path from the working directory; they run on `actor_system.pool_size` worker threads.',
    ),
    worker_heap_mb: setting(
      positive(256, 65_536),
      'Heap of each of these threads; one that needs more is replaced.',
    ),
  })
  .prefault({});
