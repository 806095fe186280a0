import type { Broker, LogEnd } from './broker.js';

/**
 * Reads the ends of logs for many subscribers that come back at the same time. A read under way is shared by those who come meanwhile: what
 * it returns is older than they are, by one round trip at most.
 */
export class LogEnds {
  private readonly reading = new Map<string, Promise<LogEnd>>();

  constructor(private readonly broker: Pick<Broker, 'ends'>) {}

  /**
   * The end of a log.
   *
   * @param isEnough whether the answer of a read that began before this call will do; if not, the log is read again
   */
  async read(topic: string, isEnough: (end: LogEnd) => boolean): Promise<LogEnd> {
    const before = this.reading.get(topic);
    if (before !== undefined) {
      const end = await before;
      if (isEnough(end)) return end;
    }
    // One that runs now has begun after this call.
    return this.reading.get(topic) ?? this.begin(topic);
  }

  private begin(topic: string): Promise<LogEnd> {
    const end = this.broker
      .ends([topic])
      .then(([found]) => found!)
      .finally(() => this.reading.delete(topic));
    this.reading.set(topic, end);
    return end;
  }
}
