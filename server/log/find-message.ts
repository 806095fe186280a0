import type { Broker, LogEnd } from './broker.js';
import { messageIdOf } from './entry.js';
import { startAfterId } from './missed-start.js';

/** Where a message is in a log. */
export interface FoundMessage {
  /** Undefined: the log does not have it, any more or at all. */
  readonly sequence: number | undefined;
  readonly end: LogEnd;
}

/** Finds a message in a log by its id, with few reads: ids are ordered by time, up to the differences of clocks. */
export async function findMessage(broker: Broker, topic: string, id: string): Promise<FoundMessage> {
  const { after, end } = await startAfterId(broker, topic, id, Number.MAX_SAFE_INTEGER);
  if (after === undefined || after === 0) return { sequence: undefined, end };
  return { sequence: (await hasMessage(broker, topic, after, id)) ? after : undefined, end };
}

/** Whether a log has a message at this sequence. */
export async function hasMessage(
  broker: Broker,
  topic: string,
  sequence: number,
  id: string,
): Promise<boolean> {
  const [found] = (await broker.read(topic, sequence - 1, 1)).entries;
  return found?.sequence === sequence && messageIdOf(found.entry) === id;
}
