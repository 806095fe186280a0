import type { InboundSettings } from '../../server/gateway/inbound/inbound-settings.js';

/** The default limits of what a transport may send, with changes. */
export function inboundSettings(changes: Partial<InboundSettings> = {}): InboundSettings {
  return {
    maxInflightCommands: 5000,
    maxInflightBytes: 4_194_304,
    totalInflightBytes: 16_777_216,
    maxJoinBytes: 262_144,
    transportLimitBytes: 1_000_000,
    wastePacketsPerSec: 500,
    clientTimeoutMs: 60_000,
    ...changes,
  };
}
