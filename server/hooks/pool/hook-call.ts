import type { ErrorCode, ErrorDetails } from '../../../shared/errors.js';
import type { PayloadLimits } from '../../protocol/payload.js';
import type { ConnectEvent, DisconnectEvent, HookName, PublishEvent, SubscribeEvent } from '../hooks.js';

/** All hooks. */
export const hookNames = [
  'onPublish',
  'onSubscribe',
  'onConnect',
  'onDisconnect',
] as const satisfies readonly HookName[];

/** A message on its way to a worker, which parses it: that costs the event loop nothing. */
export interface CarriedMessage extends Omit<PublishEvent, 'payload'> {
  readonly payloadJson: string;
  readonly attachments: readonly Uint8Array[];
}

/** One call of a hook, as it is sent to a worker. */
export type HookCall =
  | { readonly hook: 'onPublish'; readonly event: CarriedMessage }
  | { readonly hook: 'onSubscribe'; readonly event: SubscribeEvent }
  | { readonly hook: 'onConnect'; readonly event: ConnectEvent }
  | { readonly hook: 'onDisconnect'; readonly event: DisconnectEvent };

/** The payload that `onPublish` has returned, checked and encoded by the worker. */
export interface ChangedPayload {
  readonly payloadJson: string;
  readonly attachments: readonly Uint8Array[];
}

/** How a call has ended. It holds plain values only, so that it can always be sent. */
export type HookOutcome =
  | { readonly kind: 'done'; readonly changed?: ChangedPayload }
  | {
      readonly kind: 'refused';
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: ErrorDetails;
    }
  | { readonly kind: 'failed'; readonly message: string; readonly stack?: string | undefined };

/** The hooks that a module has, or why it cannot be used. */
export type LoadOutcome = { readonly hooks: readonly HookName[] } | { readonly problem: string };

/** What a worker is started with. */
export interface HookWorkerData {
  /** Absolute path of the module. */
  readonly module: string;
  readonly payload: PayloadLimits;
}
