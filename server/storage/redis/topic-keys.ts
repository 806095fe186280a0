/**
 * The keys of a topic in Redis. All share the hash tag `{topic}`, so that they are on one node of a Redis
 * Cluster.
 */
export class TopicKeys {
  /** `mark`: see `database.ts`. `isSharded`: channels belong to slots, as in a Redis Cluster. */
  constructor(
    private readonly prefix: string,
    private readonly mark = '',
    private readonly isSharded = false,
  ) {}

  /** Length of the part of a key that comes before the mark in the name of its channel, and the mark, for `lua/append.lua`. */
  get channelRule(): string {
    const mark = this.isSharded ? 'sharded' : this.mark === '' ? '-' : this.mark;
    return `${Buffer.byteLength(this.prefix)} ${mark}`;
  }

  /** The stream of messages. Its name is that of the channel, without the mark, plus `:log`: `lua/append.lua` relies on this. */
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
    return `${this.prefix}${this.mark}:{${topic}}`;
  }
}
