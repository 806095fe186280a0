/** Counters of the fan-out; plain numbers, read by the metrics. */
export interface DeliveryCounts {
  delivered: number;
  flushes: number;
  paused: number;
  dropped: number;
  disconnected: number;
  gaps: number;
}

export function newDeliveryCounts(): DeliveryCounts {
  return { delivered: 0, flushes: 0, paused: 0, dropped: 0, disconnected: 0, gaps: 0 };
}
