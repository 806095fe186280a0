import type { Message } from '../../shared/message.js';
import { RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import { readTopicName } from '../../shared/topic-name.js';
import type { PublishAnswer } from '../commands/publish.js';
import type { CommandRouter } from '../commands/router.js';
import type { DirectAnswer } from '../direct/direct-sender.js';
import { entryToMessage } from '../log/entry.js';
import type { HistoryRequest } from '../log/history.js';
import type { Log } from '../logging/log.js';
import type { Clock } from '../primitives/clock.js';
import type { Connection } from '../protocol/connection.js';
import { shuttingDown } from '../protocol/shutting-down.js';
import { ListenerSubscription } from '../topics/listener-subscription.js';
import type { Topics } from '../topics/topics.js';

/** How a program publishes a message. */
export interface ProgramPublishOptions {
  /** Idempotency key: a repetition gets the answer of the first message. */
  readonly key?: string;
  /** `delivered`: wait until subscribers have acknowledged the message. Default: `stored`. */
  readonly confirm?: 'stored' | 'delivered';
  /** How long to wait for acknowledgements, in milliseconds. */
  readonly timeoutMs?: number;
  /** User id in whose name it is published; quotas of that user apply. Default: none, `sender` of the message is null. */
  readonly sender?: string;
}

/** How a program follows a topic. */
export interface ProgramSubscribeOptions {
  /** Begin after this position. Default: with the next message. */
  readonly since?: Position;
  /** Messages after `from`, up to `to`, are lost to this listener: they are no longer stored, or the log was lost. */
  readonly onGap?: (gap: {
    readonly topic: string;
    readonly from: Position;
    readonly to: Position;
  }) => void | Promise<void>;
}

/** A topic that a program follows. */
export interface ProgramSubscription {
  /** Everything up to this position was handed over. With `since` another process can go on here. */
  readonly position: Position;
  /** Nothing is handed over from now on. */
  close(): void;
}

interface ProgramApiDependencies {
  /** Commands without limits and permissions: the program decides what it does. */
  readonly router: CommandRouter;
  readonly topics: Topics;
  readonly log: Log;
  readonly clock: Clock;
}

/** Messages of the program that embeds the service: it needs no client and no token. */
export class ProgramApi {
  private readonly subscriptions = new Set<ProgramSubscription>();
  private closed = false;

  constructor(private readonly dependencies: ProgramApiDependencies) {}

  /** @throws RefusalError the same codes as the command `publish` */
  readonly publish = (
    topic: string,
    payload: unknown,
    { sender, ...options }: ProgramPublishOptions = {},
  ): Promise<PublishAnswer> =>
    this.run<PublishAnswer>('publish', sender, { topic, payload, ...fieldsOf(options) });

  /** @throws RefusalError the same codes as the command `direct` */
  readonly direct = (
    userId: string,
    payload: unknown,
    { sender, ...options }: ProgramPublishOptions = {},
  ): Promise<DirectAnswer> =>
    this.run<DirectAnswer>('direct', sender, {
      to: userId,
      payload,
      confirm: 'stored',
      ...fieldsOf(options),
    });

  /**
   * Hands over the messages of a topic in order, one after the other: the next one when the listener has returned, or its promise is settled.
   * What a listener throws is logged.
   *
   * @throws RefusalError `invalid_topic`, `unavailable`, `shutting_down`
   */
  readonly subscribe = async (
    name: string,
    listener: (message: Message) => void | Promise<void>,
    { since, onGap }: ProgramSubscribeOptions = {},
  ): Promise<ProgramSubscription> => {
    const { topics, log, clock } = this.dependencies;
    const topic = readTopicName(name, 'topic');
    this.checkOpen();
    let onMoved = (): void => {};
    const watch = await topics.watch(topic, () => onMoved());
    try {
      // Nobody would end it.
      this.checkOpen();
    } catch (error) {
      watch.close();
      throw error;
    }
    const start = since === undefined ? watch.position : { ...since, previous: [] };
    const read = (page: HistoryRequest) => topics.history(topic, page);
    const running = new ListenerSubscription({ read, log, clock }, topic, start, {
      message: ({ entry, sequence }, epoch) => listener(entryToMessage(entry, sequence, epoch, 'buffer')),
      gap: (from, to) => onGap?.({ topic, from, to }),
    });
    onMoved = () => running.moved();
    running.start();
    const held: ProgramSubscription = {
      get position() {
        return running.position;
      },
      close: () => {
        running.close();
        watch.close();
        this.subscriptions.delete(held);
      },
    };
    this.subscriptions.add(held);
    return held;
  };

  /** Ends all subscriptions, and refuses further ones. */
  close(): void {
    this.closed = true;
    for (const subscription of this.subscriptions) subscription.close();
  }

  private checkOpen(): void {
    if (this.closed) throw shuttingDown();
  }

  private async run<Result>(command: string, sender: string | undefined, request: object): Promise<Result> {
    const answer = await this.dependencies.router.run(new ProgramCaller(sender), command, request);
    if (answer.ok) {
      const { ok: _, ...result } = answer;
      return result as Result;
    }
    const { code, message, retry_after_ms: retryAfterMs, field, limit, size } = answer.error;
    throw new RefusalError(code, message, {
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(field !== undefined && { field }),
      ...(limit !== undefined && { limit }),
      ...(size !== undefined && { size }),
    });
  }
}

/** The fields of a request. */
function fieldsOf({ key, confirm, timeoutMs }: ProgramPublishOptions): object {
  return {
    ...(key !== undefined && { key }),
    ...(confirm !== undefined && { confirm }),
    ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
  };
}

/** The program as a caller of commands: it gets an answer, and no events. */
class ProgramCaller implements Connection {
  readonly id = 'program';
  readonly wire = 'socketio';
  readonly sessionId = '';
  readonly connectedAt = 0;
  readonly address = '';
  readonly identity;

  constructor(sender = '') {
    this.identity = { userId: sender, roles: [], autoSubscribe: [] };
  }

  emit(): void {}
  disconnect(): void {}
}
