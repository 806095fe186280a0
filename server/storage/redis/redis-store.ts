import type { RedisProcess } from './redis-process.js';
import type { RedisWrites } from './redis-writes.js';
import type { RefusalError } from '../../../shared/errors.js';

export type LinkState = 'up' | 'down';
export type RedisArgument = string | Buffer;
/** How texts in a reply are returned. */
export type ReplyForm = 'strings' | 'buffers';

/** One Redis process that holds data. */
export interface RedisNode {
  readonly state: LinkState;
  /** Undefined: it is not connected, or not identified yet. */
  readonly redis: RedisProcess | undefined;
  /**
   * Sends a command now, or throws.
   *
   * @throws RefusalError `unavailable` if it was not sent; ResponseLostError if it was sent and no response came.
   */
  call<Reply>(args: RedisArgument[], form?: ReplyForm): Promise<Reply>;
  /** Sends a harmless command to see whether Redis refuses it: that counts neither as a refused write nor as an error. */
  tryOut(args: string[]): Promise<unknown>;
  /** A script has found another history than is known. Resolves when that is known, or after `limitMs`. */
  recheckHistory(limitMs: number): Promise<void>;
}

/**
 * Who receives a channel: `all` is published by `PUBLISH`, and reaches every node of a Redis Cluster; `slot` stays
 * with the node that has the slot of its name, and is published by {@link RedisStore.publishCommand}.
 */
export type ChannelKind = 'all' | 'slot';

/** Redis as the drivers use it: one process, or all nodes of a Redis Cluster. */
export interface RedisStore {
  /** `up`: at least a part of the data can be reached. */
  readonly state: LinkState;
  /** Keys are spread over slots: one call touches keys of one slot only. */
  readonly isCluster: boolean;
  /** Milliseconds since 1970, by the clock of Redis; for ids it never goes back. */
  readonly clock: { readonly now: () => number; readonly idTime: () => number };
  readonly writes: RedisWrites;
  /** Publishes on a channel of the kind `slot`. */
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH';
  /** All processes that hold data. */
  nodes(): readonly RedisNode[];
  /** The slot of a key; keys of one slot can be touched by one call. */
  slotOf(key: string): number;
  /** The address of the node of a Redis Cluster that has a slot; undefined: none has it, or this is no cluster. */
  ownerOf(slot: number): string | undefined;
  /**
   * Runs something at the process that has the key, and sends its commands in this turn. In a cluster it is run again if
   * the key turns out to be somewhere else, so it must not have done anything when it rejects with an error reply.
   */
  at<Result>(key: string, run: (node: RedisNode) => Promise<Result>): Promise<Result>;
  /** Sends a command to the process that has its key, as {@link RedisNode.call} does. */
  call<Reply>(args: RedisArgument[], form?: ReplyForm): Promise<Reply>;
  /**
   * Subscribes one channel; resolves once it is live. The subscription is kept over reconnections; after a
   * rejection it is made with the next connection.
   */
  subscribe(channel: string, listener: (message: Buffer) => void, kind?: ChannelKind): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  /** Called on every change of the state; in a cluster with `up` each time that a node can be reached again. */
  onState(listener: (state: LinkState) => void): void;
  /** Called when subscriptions are live again; messages may have been missed in between. */
  onResubscribed(listener: () => void): void;
  /** The error for a command that was not sent. */
  unavailable(cause?: unknown): RefusalError;
  /** The error for a command that Redis has refused: nothing was changed. */
  refused(error: Error): RefusalError;
  /** The error for a change that was sent and not answered: Redis runs every command that has reached it, even after a stall. */
  outcomeUnknown(cause: Error): RefusalError;
}

/** What runs scripts and commands: a store or a node of it. */
export type RedisCaller = Pick<RedisNode, 'call'>;
