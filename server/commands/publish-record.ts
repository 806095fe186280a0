import type { AppendReceipt } from '../log/broker.js';
import type { Log } from '../logging/log.js';
import type { Metrics } from '../metrics/metrics.js';

/** Counts stored messages, and logs each one at level debug. */
export function publishRecord(
  metrics: Metrics,
  log: Log,
): (receipt: AppendReceipt, connectionId: string, tookMs: number) => void {
  return ({ id, duplicate, receivers = 0 }, connectionId, tookMs) => {
    metrics.publishHistogram.observe(tookMs);
    if (duplicate) metrics.duplicates++;
    else metrics.published++;
    if (!log.enabled('debug')) return;
    log.debug('Message routed', {
      message_id: id,
      connection_id: connectionId,
      target_count: receivers,
      duration_ms: Number(tookMs.toFixed(3)),
    });
  };
}
