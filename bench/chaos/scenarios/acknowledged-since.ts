import { need } from '../processes/wait.js';
import type { World } from '../world.js';

/**
 * Resolves when so many messages are acknowledged that were sent after this time, without repetitions. What was sent before may have been stored
 * before, though its acknowledgement comes later.
 */
export async function acknowledgedSince({ recorder }: World, atMs: number, count: number): Promise<void> {
  const acknowledged = (): number => {
    const sent = new Set<string>();
    let answers = 0;
    for (const event of recorder.events) {
      if (event.at <= atMs) continue;
      if (event.kind === 'publish') sent.add(`${event.operation} ${event.attempt}`);
      else if (event.kind === 'published' && event.outcome === 'acknowledged' && event.duplicate !== true)
        answers += sent.has(`${event.operation} ${event.attempt}`) ? 1 : 0;
    }
    return answers;
  };
  await need(() => acknowledged() >= count, `${count} messages are acknowledged`);
}
