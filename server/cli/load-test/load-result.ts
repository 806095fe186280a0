/** Latencies in milliseconds. */
export interface LoadLatency {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p99_9: number;
  readonly max: number;
}

/** One second of the test. */
export interface LoadSecond {
  readonly at: number;
  readonly connections: number;
  readonly sent: number;
  readonly received: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** The result of `rtc load-test`. */
export interface LoadResult {
  readonly url: string;
  readonly at: number;
  readonly options: {
    readonly connections: number;
    readonly rate: number;
    readonly duration_ms: number;
    readonly ramp_ms: number;
    readonly topics: number;
    readonly transport: string;
    readonly workers: number;
  };
  readonly connections: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly received: number;
  readonly expected: number;
  readonly lost: number;
  readonly loss_percent: number;
  readonly duplicates: number;
  readonly out_of_order: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly latency_ms: LoadLatency;
  /** Latencies by percentile, for the curve. */
  readonly percentiles: readonly { readonly percentile: number; readonly ms: number }[];
  readonly seconds: readonly LoadSecond[];
  /** Thresholds that are crossed. */
  readonly failed: readonly string[];
}

/** What may be crossed. Order and doubles may not. */
export interface LoadThresholds {
  readonly maxLossPercent: number;
  readonly maxP99Ms: number | undefined;
  readonly maxErrors: number;
}

/** Which thresholds a result crosses, in words. */
export function crossed(
  result: Omit<LoadResult, 'failed'>,
  { maxLossPercent, maxP99Ms, maxErrors }: LoadThresholds,
): string[] {
  const {
    loss_percent: loss,
    duplicates,
    out_of_order: outOfOrder,
    latency_ms: latency,
    options,
    connections,
  } = result;
  const errors = Object.values(result.errors).reduce((sum, count) => sum + count, 0);
  const problems: (string | false)[] = [
    connections < options.connections &&
      `${options.connections - connections} of ${options.connections} clients are not connected`,
    result.received === 0 && 'no message arrived',
    loss > maxLossPercent && `loss is ${loss} %, above ${maxLossPercent} %`,
    duplicates > 0 && `${duplicates} messages came twice`,
    outOfOrder > 0 && `${outOfOrder} messages came out of order`,
    errors > maxErrors && `${errors} errors, above ${maxErrors}`,
    maxP99Ms !== undefined && latency.p99 > maxP99Ms && `p99 is ${latency.p99} ms, above ${maxP99Ms} ms`,
  ];
  return problems.filter((problem) => problem !== false);
}
