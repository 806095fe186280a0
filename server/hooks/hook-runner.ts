import { RefusalError } from '../../shared/errors.js';
import type { PublishRequest } from '../log/publish-request.js';
import type { Connection } from '../protocol/connection.js';
import { TimeLimitError, withTimeout } from '../primitives/with-timeout.js';
import {
  hookFailed,
  type ConnectEvent,
  type DisconnectEvent,
  type Hooks,
  type SubscribeEvent,
} from './hooks.js';
import type { Supervisor } from '../supervision/supervisor.js';

export interface HookRunnerDependencies {
  readonly hooks: Hooks;
  readonly supervisor: Supervisor;
  /** The payload of a request as an object, with binary parts as `Buffer`s. */
  readonly decode: (request: PublishRequest) => unknown;
  /** Validates and encodes a payload returned by a hook. @throws RefusalError if it is not a valid payload */
  readonly encode: (payload: unknown) => Pick<PublishRequest, 'payloadJson' | 'attachments'>;
}

/** Runs the hooks of an embedding program, each within a time limit and supervised. */
export class HookRunner {
  private readonly disconnecting = new Set<Promise<void>>();

  constructor(
    private readonly dependencies: HookRunnerDependencies,
    private readonly settings: { readonly timeoutMs: number },
  ) {}

  /**
   * Passes a message to `onPublish`, which may change it; undefined without such a hook. Errors are thrown
   * unchanged, because they count as failures of the topic's actor, which calls this function.
   */
  get publish(): ((request: PublishRequest) => Promise<PublishRequest>) | undefined {
    const { hooks, decode, encode } = this.dependencies;
    if (hooks.onPublish === undefined) return undefined;
    return async (request) => {
      let payload: { value: unknown } | undefined;
      const changed = await this.inTime('onPublish', () =>
        hooks.onPublish!({
          id: request.id,
          topic: request.topic,
          sender: request.sender,
          get payload() {
            payload ??= { value: decode(request) };
            return payload.value;
          },
        }),
      );
      return changed === undefined ? request : { ...request, ...encode(changed.payload) };
    };
  }

  /**
   * @throws RefusalError the hook's own; `internal` if the hook fails, `unavailable` if it was stopped after
   * failures
   */
  readonly subscribing = ({ id, identity }: Connection, topic: string): Promise<void> | undefined => {
    const { hooks } = this.dependencies;
    if (hooks.onSubscribe === undefined) return undefined;
    const event: SubscribeEvent = { topic, connectionId: id, userId: identity.userId };
    // Supervised per topic: a hook that fails for one topic must not block the others.
    return this.supervised(`hook:onSubscribe:${topic}`, 'onSubscribe', () => hooks.onSubscribe!(event));
  };

  /** @throws as {@link subscribing} */
  connecting(event: ConnectEvent): Promise<void> | undefined {
    const { hooks } = this.dependencies;
    if (hooks.onConnect === undefined) return undefined;
    return this.supervised('hook:onConnect', 'onConnect', () => hooks.onConnect!(event));
  }

  /** Never rejects. */
  disconnected(event: DisconnectEvent): void {
    const { hooks } = this.dependencies;
    if (hooks.onDisconnect === undefined) return;
    const run = () => hooks.onDisconnect!(event);
    const running = this.supervised('hook:onDisconnect', 'onDisconnect', run)
      .catch(() => {})
      .finally(() => this.disconnecting.delete(running));
    this.disconnecting.add(running);
  }

  /** Resolves when every `onDisconnect` has ended, or has taken too long. */
  async settle(): Promise<void> {
    await Promise.all(this.disconnecting);
  }

  private async supervised(id: string, name: keyof Hooks, run: () => void | Promise<void>): Promise<void> {
    const { supervisor } = this.dependencies;
    supervisor.find(id)?.check();
    try {
      await this.inTime(name, run);
    } catch (error) {
      if (error instanceof RefusalError) throw error;
      supervisor.failed(id, error);
      throw hookFailed(name);
    }
  }

  private async inTime<Result>(name: keyof Hooks, run: () => Result | Promise<Result>): Promise<Result> {
    const { timeoutMs } = this.settings;
    try {
      return await withTimeout(Promise.resolve(run()), timeoutMs);
    } catch (error) {
      if (!(error instanceof TimeLimitError)) throw error;
      throw new Error(`the hook ${name} took more than ${timeoutMs} ms`);
    }
  }
}
