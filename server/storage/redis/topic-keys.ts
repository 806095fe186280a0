/** Names of what is kept of a topic in Redis; all share the hash tag `{topic}`, so that they live on one node of a Redis Cluster. */
export class TopicKeys {
  constructor(private readonly prefix: string) {}

  /** The stream of messages; the name of the channel and `:log`, as `lua/append.lua` takes it. */
  log(topic: string): string {
    return `${this.prefix}:{${topic}}:log`;
  }

  meta(topic: string): string {
    return `${this.prefix}:{${topic}}:meta`;
  }

  idempotency(topic: string, key: string): string {
    return `${this.prefix}:{${topic}}:k:${key}`;
  }

  /** The channel on which batches are published. */
  channel(topic: string): string {
    return `${this.prefix}:{${topic}}`;
  }
}
