import { payloadOf } from '../log/entry.js';
import type { PublishRequest } from '../log/publish-request.js';
import { readPayload, type PayloadLimits } from '../protocol/payload.js';
import type { HookRunnerDependencies } from './hook-runner.js';

/**
 * Converts payloads between their form in a request and their form in hooks: an object with binary parts as
 * `Buffer`s.
 */
export function hookPayload(limits: PayloadLimits): Pick<HookRunnerDependencies, 'decode' | 'encode'> {
  return {
    decode: ({ payloadJson, attachments }: PublishRequest) => payloadOf(payloadJson, attachments),
    encode: (payload) => {
      const { json, attachments } = readPayload(payload, 'socketio', limits);
      return { payloadJson: json, attachments };
    },
  };
}
