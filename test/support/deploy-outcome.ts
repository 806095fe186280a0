import assert from 'node:assert/strict';
import type { DeployedClient } from '../../bench/reload/deployed-client.js';
import type { SteadyPublisher } from './clients.js';
import { until } from './wait.js';

/**
 * Waits until every client of a deploy has the last message that was acknowledged. Returns the sequences of the topic, after a check that each was
 * acknowledged once.
 */
export async function sequencesAfter(
  clients: readonly DeployedClient[],
  publishers: readonly SteadyPublisher[],
): Promise<number[]> {
  const acknowledged = publishers.flatMap((publisher) =>
    publisher.acknowledged.map(({ answer }) => answer.sequence!),
  );
  const last = Math.max(...acknowledged);
  await until(
    () => clients.every((client) => sequencesOf(client).at(-1) === last),
    'all have everything',
    20_000,
  );
  const all = Array.from({ length: last }, (_, n) => n + 1);
  assert.deepEqual(
    [...acknowledged].sort((a, b) => a - b),
    all,
  );
  return all;
}

export function sequencesOf(client: DeployedClient): number[] {
  return client.messages.map(({ sequence }) => sequence);
}
