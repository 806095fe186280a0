import { inspect } from 'node:util';
import { workerData } from 'node:worker_threads';
import { payloadOf } from '../../log/entry.js';
import { refusalOf } from '../../protocol/program-error.js';
import { changedPayload } from '../hook-payload.js';
import type { Hooks, PublishEvent } from '../hooks.js';
import type {
  CarriedMessage,
  ChangedPayload,
  HookCall,
  HookOutcome,
  HookWorkerData,
  LoadOutcome,
} from './hook-call.js';
import { loadHookModule, namesOf } from './hook-module.js';

// Runs in a worker thread. Its two functions never throw, and answer with plain values only: so whatever a hook throws or returns can be
// sent, and a call that fails otherwise has lost its thread.

const { module: path, payload: limits } = workerData as HookWorkerData;

let hooks: Hooks | undefined;

/** Loads the module. */
export async function load(): Promise<LoadOutcome> {
  try {
    hooks = await loadHookModule(path);
    return { hooks: namesOf(hooks) };
  } catch (error) {
    const { message, stack = message } = failureOf(error);
    // A syntax error names its place above its message. The frames of the loader say nothing.
    const told = stack.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('    at '));
    return { problem: told.join('\n') || message };
  }
}

/** Runs one hook. */
export async function run(call: HookCall): Promise<HookOutcome> {
  try {
    // A message that was not checked must not pass.
    if (hooks === undefined) throw new Error('the worker has not loaded the module');
    switch (call.hook) {
      case 'onPublish':
        return await publish(hooks, call.event);
      case 'onSubscribe':
        await hooks.onSubscribe?.(call.event);
        break;
      case 'onConnect':
        await hooks.onConnect?.(call.event);
        break;
      case 'onDisconnect':
        await hooks.onDisconnect?.(call.event);
    }
    return { kind: 'done' };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) return { kind: 'failed', ...failureOf(error) };
    const { code, message, details } = refusal;
    return { kind: 'refused', code, message, details };
  }
}

async function publish(
  hooks: Hooks,
  { id, topic, sender, payloadJson, attachments }: CarriedMessage,
): Promise<HookOutcome> {
  let payload: { value: unknown } | undefined;
  const event: PublishEvent = {
    id,
    topic,
    sender,
    get payload() {
      payload ??= { value: payloadOf(payloadJson, attachments.map(bufferOf)) };
      return payload.value;
    },
  };
  const returned = await hooks.onPublish?.(event);
  return returned === undefined ? { kind: 'done' } : { kind: 'done', changed: encode(returned) };
}

/** @throws as {@link changedPayload} */
function encode(returned: unknown): ChangedPayload {
  const { payloadJson, attachments } = changedPayload(returned, limits);
  // A part may be a small view of a large buffer, all of which would be sent.
  return { payloadJson, attachments: attachments.map((part) => new Uint8Array(part)) };
}

const bufferOf = (part: Uint8Array) => Buffer.from(part.buffer, part.byteOffset, part.byteLength);

/** Anything can be thrown, also what cannot be shown. */
function failureOf(error: unknown): { readonly message: string; readonly stack?: string } {
  try {
    if (!(error instanceof Error)) return { message: `it threw ${inspect(error)}` };
    return { message: String(error.message), stack: String(error.stack) };
  } catch {
    return { message: 'it threw something that cannot be shown' };
  }
}
