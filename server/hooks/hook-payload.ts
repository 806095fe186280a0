import { payloadOf } from '../log/entry.js';
import type { PublishRequest } from '../log/publish-request.js';
import { readProgramPayload, type PayloadLimits } from '../protocol/payload.js';
import type { HookRunnerDependencies } from './hook-runner.js';

type EncodedPayload = Pick<PublishRequest, 'payloadJson' | 'attachments'>;

/**
 * Converts payloads between their form in a request and their form in hooks: an object with binary parts as
 * `Buffer`s.
 */
export function hookPayload(limits: PayloadLimits): Pick<HookRunnerDependencies, 'decode' | 'encode'> {
  return {
    decode: ({ payloadJson, attachments }: PublishRequest) => payloadOf(payloadJson, attachments),
    encode: (returned) => changedPayload(returned, limits),
  };
}

/**
 * The payload that `onPublish` has returned.
 *
 * @throws RefusalError `message_too_large` or `invalid_payload` if it is over a limit: that may depend on what the client has sent
 * @throws Error if it is no payload at all: the hook is wrong, not its client
 */
export function changedPayload(returned: unknown, limits: PayloadLimits): EncodedPayload {
  const payload: unknown = (returned as { readonly payload?: unknown } | null)?.payload;
  if (!isJsonValue(payload))
    throw new Error('the hook onPublish has returned something else than { payload } with a JSON value');
  const { json, attachments } = readProgramPayload(payload, 'socketio', limits);
  return { payloadJson: json, attachments };
}

function isJsonValue(value: unknown): boolean {
  return !['undefined', 'function', 'symbol', 'bigint'].includes(typeof value);
}
