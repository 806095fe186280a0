import { z } from 'zod';
import { count, positive, setting, webAddress } from '../setting.js';

/** Traces of messages. */
export const tracing = z
  .strictObject({
    sample_per_sec: setting(
      count(10, 100_000),
      'Messages sampled for traces per second and replica; 0 for none.',
    ),
    forced_per_sec: setting(
      positive(1000, 100_000),
      'Largest number of messages traced per second and replica on request of an operator or their sender.',
    ),
    user_forced_per_sec: setting(
      positive(10, 100_000),
      'Largest number of messages traced per second and replica on request of one sender, so that nobody pushes the traces of others out of the ring.',
    ),
    ring_size: setting(positive(10_000, 1_000_000), 'Trace events kept per replica.'),
    otlp_endpoint: setting(
      webAddress.optional(),
      'OpenTelemetry collector (OTLP over HTTP) that traces are sent to.',
    ),
  })
  .prefault({});
