import { RefusalError } from '../../shared/errors.js';
import type { PublishRequest } from '../log/publish-request.js';
import type { Connection } from '../protocol/connection.js';
import { programError } from '../protocol/program-error.js';
import { TimeLimitError, withTimeout } from '../primitives/with-timeout.js';
import {
  hookFailed,
  type ConnectEvent,
  type DisconnectEvent,
  type Hooks,
  type SubscribeEvent,
} from './hooks.js';
import type { Supervisor } from '../supervision/supervisor.js';
import type { HookPool } from './pool/hook-pool.js';
import { pooledHooks, publishOnPool, type ConnectionHooks } from './pool/pooled-hooks.js';

export interface HookRunnerDependencies {
  readonly hooks: Hooks;
  /** Runs the hooks of a module on worker threads; undefined: `hooks` are those of a program, in this thread. */
  readonly pool?: HookPool | undefined;
  readonly supervisor: Supervisor;
  /** The payload of a request as an object, with binary parts as `Buffer`s. */
  readonly decode: (request: PublishRequest) => unknown;
  /** Validates and encodes what `onPublish` has returned. @throws as {@link import('./hook-payload.js').changedPayload} */
  readonly encode: (returned: unknown) => Pick<PublishRequest, 'payloadJson' | 'attachments'>;
}

type PublishHook = (request: PublishRequest) => Promise<PublishRequest>;

/** Runs the hooks of an embedding program, or of a module, each within a time limit and supervised. */
export class HookRunner {
  private readonly disconnecting = new Set<Promise<void>>();
  private readonly hooks: ConnectionHooks;
  private readonly publishInTurn: PublishHook | undefined;

  constructor(
    private readonly dependencies: HookRunnerDependencies,
    private readonly settings: { readonly timeoutMs: number },
  ) {
    const { hooks, pool } = dependencies;
    this.hooks = pool === undefined ? hooks : pooledHooks(pool);
    this.publishInTurn = pool === undefined ? this.publishHere() : (request) => publishOnPool(pool, request);
  }

  /**
   * Passes a message to `onPublish`, which may change it; undefined without such a hook. Errors are thrown
   * unchanged, because they count as failures of the topic's actor, which calls this function.
   */
  get publish(): PublishHook | undefined {
    const { pool } = this.dependencies;
    return pool === undefined || pool.has('onPublish') ? this.publishInTurn : undefined;
  }

  /**
   * @throws RefusalError the hook's own; `internal` if the hook fails, `unavailable` if it was stopped after
   * failures
   */
  readonly subscribing = ({ id, identity }: Connection, topic: string): Promise<void> | undefined => {
    const { hooks } = this;
    if (hooks.onSubscribe === undefined) return undefined;
    const event: SubscribeEvent = { topic, connectionId: id, userId: identity.userId };
    // Supervised per topic: a hook that fails for one topic must not block the others.
    return this.supervised(`hook:onSubscribe:${topic}`, 'onSubscribe', () => hooks.onSubscribe!(event));
  };

  /** @throws as {@link subscribing} */
  connecting(event: ConnectEvent): Promise<void> | undefined {
    const { hooks } = this;
    if (hooks.onConnect === undefined) return undefined;
    return this.supervised('hook:onConnect', 'onConnect', () => hooks.onConnect!(event));
  }

  /** Never rejects. */
  disconnected(event: DisconnectEvent): void {
    const { hooks } = this;
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

  private publishHere(): PublishHook | undefined {
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
      return changed === undefined ? request : { ...request, ...encode(changed) };
    };
  }

  private async supervised(id: string, name: keyof Hooks, run: () => void | Promise<void>): Promise<void> {
    const { supervisor } = this.dependencies;
    supervisor.find(id)?.check();
    try {
      await this.inTime(name, run);
    } catch (error) {
      if (error instanceof RefusalError) throw error;
      supervisor.failed(id, error);
      throw hookFailed(name, error);
    }
  }

  private async inTime<Result>(name: keyof Hooks, run: () => Result | Promise<Result>): Promise<Result> {
    const { timeoutMs } = this.settings;
    // The pool has its own limit, from the start of the call on.
    if (this.dependencies.pool !== undefined) return await run();
    // Whatever it throws, or rejects with.
    const result = (async () => await run())().catch((error: unknown) => {
      throw programError(error);
    });
    try {
      return await withTimeout(result, timeoutMs);
    } catch (error) {
      if (!(error instanceof TimeLimitError)) throw error;
      throw new Error(`the hook ${name} took more than ${timeoutMs} ms`);
    }
  }
}
