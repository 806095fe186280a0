import { usageError } from '../cli-error.js';
import type { LoadTransport } from './load-client.js';

/** Options of `rtc load-test`. */
export interface LoadOptions {
  readonly connections: number;
  readonly rate: number;
  readonly duration: number;
  readonly ramp?: number;
  readonly topics?: number;
  readonly subscribersPerTopic: number;
  readonly transport: LoadTransport;
  readonly workers: number;
  readonly maxLoss: number;
  readonly maxP99?: number;
  readonly maxErrors: number;
  readonly report?: string;
}

/** Topics of a test. */
export function topicsOf({ topics, connections, subscribersPerTopic }: LoadOptions): number {
  return topics ?? Math.ceil(connections / subscribersPerTopic);
}

/** Refuses what would not be the test that was asked for. @throws CliError */
export function assertSensible(options: LoadOptions, isGiven: (name: keyof LoadOptions) => boolean): void {
  const { connections, topics, subscribersPerTopic, rate, duration, workers } = options;
  if (topics !== undefined && isGiven('subscribersPerTopic'))
    throw usageError(
      '--topics and --subscribers-per-topic: choose one of them',
      'each follows from the other',
    );
  if (topics !== undefined && topics > connections)
    throw usageError(
      `--topics ${topics} is more than --connections ${connections}: each client has one topic`,
      `give --connections ${topics}, or fewer topics`,
    );
  if (isGiven('subscribersPerTopic') && subscribersPerTopic > connections)
    throw usageError(
      `--subscribers-per-topic ${subscribersPerTopic} is more than --connections ${connections}`,
      `give --connections ${subscribersPerTopic}, or fewer subscribers`,
    );
  if (isGiven('workers') && workers > topicsOf(options))
    throw usageError(
      `--workers ${workers} is more than there are topics, ${topicsOf(options)}: a topic stays within one thread`,
      'give fewer workers, or more topics',
    );
  const messages = (connections * rate * duration) / 1000;
  if (messages < 1)
    throw usageError(
      `nothing would be published: ${connections} clients at ${rate} a second for ${duration} ms are ${Number(messages.toPrecision(2))} messages`,
      'give a higher --rate, or a longer --duration',
    );
}
