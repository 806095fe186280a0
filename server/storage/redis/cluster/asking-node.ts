import type { LinkState, RedisArgument, RedisNode, ReplyForm } from '../redis-store.js';

/** A node to which a slot is being moved: it runs a command for that slot only right after `ASKING`. */
export class AskingNode implements RedisNode {
  constructor(private readonly node: RedisNode) {}

  get state(): LinkState {
    return this.node.state;
  }

  get redis(): RedisNode['redis'] {
    return this.node.redis;
  }

  call<Reply>(args: RedisArgument[], form?: ReplyForm): Promise<Reply> {
    // What is sent in one turn stays together on the connection.
    this.node.call(['ASKING']).catch(() => {});
    return this.node.call<Reply>(args, form);
  }

  tryOut(args: string[]): Promise<unknown> {
    return this.node.tryOut(args);
  }

  recheckHistory(limitMs: number): Promise<void> {
    return this.node.recheckHistory(limitMs);
  }
}
