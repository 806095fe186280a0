import type { PublishRequest } from '../../log/publish-request.js';
import type { ConnectEvent, DisconnectEvent, HookName, Hooks, SubscribeEvent } from '../hooks.js';
import type { HookPool } from './hook-pool.js';

/** The hooks that do not see messages. */
export type ConnectionHooks = { readonly [Name in Exclude<HookName, 'onPublish'>]?: Hooks[Name] | undefined };

type PoolCalls = Pick<HookPool, 'has' | 'run'>;

/** The hooks of a module as those of a program. Until the module is loaded there are all of them. */
export function pooledHooks(pool: PoolCalls): ConnectionHooks {
  return {
    get onSubscribe() {
      if (!pool.has('onSubscribe')) return undefined;
      return async (event: SubscribeEvent) => {
        await pool.run(`subscribe ${event.topic}`, { hook: 'onSubscribe', event });
      };
    },
    get onConnect() {
      if (!pool.has('onConnect')) return undefined;
      return async (event: ConnectEvent) => {
        await pool.run('connect', { hook: 'onConnect', event });
      };
    },
    get onDisconnect() {
      if (!pool.has('onDisconnect')) return undefined;
      return async (event: DisconnectEvent) => {
        await pool.run('disconnect', { hook: 'onDisconnect', event });
      };
    },
  };
}

/** Passes a message to `onPublish` of a module. The worker parses its payload, and encodes another one. */
export async function publishOnPool(pool: PoolCalls, request: PublishRequest): Promise<PublishRequest> {
  const { id, topic, sender, payloadJson, attachments } = request;
  // Copies, because a part may be a view of what was read from a socket. They are handed over.
  const parts = attachments.map((part) => new Uint8Array(part));
  const event = { id, topic, sender, payloadJson, attachments: parts };
  const changed = await pool.run(`publish ${topic}`, { hook: 'onPublish', event });
  if (changed === undefined) return request;
  return {
    ...request,
    payloadJson: changed.payloadJson,
    attachments: changed.attachments.map(({ buffer, byteOffset, length }) =>
      Buffer.from(buffer as ArrayBuffer, byteOffset, length),
    ),
  };
}
