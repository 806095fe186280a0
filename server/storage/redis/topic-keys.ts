/**
 * The keys of a topic in Redis. All share the hash tag `{topic}`, so that they are on one node of a Redis
 * Cluster.
 */
export class TopicKeys {
  constructor(private readonly prefix: string) {}

  /** The stream of messages. Its name is that of the channel plus `:log`: `lua/append.lua` relies on this. */
  log(topic: string): string {
    return `${this.prefix}:{${topic}}:log`;
  }

  meta(topic: string): string {
    return `${this.prefix}:{${topic}}:meta`;
  }

  idempotency(topic: string, key: string): string {
    return `${this.prefix}:{${topic}}:k:${key}`;
  }

  /** The shares of senders in an inbox: `lua/includes/inbox-shares.lua` makes the same name. */
  shares(topic: string): string {
    return `${this.prefix}:{${topic}}:from`;
  }

  /** The channel on which batches are published. */
  channel(topic: string): string {
    return `${this.prefix}:{${topic}}`;
  }
}
