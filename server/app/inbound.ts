import { connectionOn } from '../gateway/client-connection.js';
import type { ConnectionTurns } from '../gateway/handshake/connection-turns.js';
import { closeForLimit } from '../gateway/inbound/close-transport.js';
import { InboundControl } from '../gateway/inbound/inbound-control.js';
import { InboundLog } from '../gateway/inbound/inbound-log.js';
import { addressCaller } from '../limits/address-limiter.js';
import { systemClock } from '../primitives/clock.js';
import type { Foundation } from './foundation.js';

/** Assembles what the inbound budgets of all transports share. */
export function assembleInbound(
  { settings, metrics, limits: { bodies }, addresses, logOf }: Foundation,
  connections: ConnectionTurns,
): InboundControl {
  const { websocket, limits } = settings;
  const log = new InboundLog({ log: logOf('connection'), now: () => performance.now() });
  return new InboundControl(
    {
      clock: systemClock,
      connections,
      bodies,
      callerOf: (engine) => {
        const connection = engine && connectionOn(engine);
        if (connection !== undefined) return `user:${connection.identity.userId}`;
        return engine === undefined ? 'upgrades' : addressCaller(addresses.of(engine.request));
      },
      closeTransport: (engine, reader, limit, error) => {
        metrics.countRefused(error.code);
        const connection = engine && connectionOn(engine);
        log.note(limit, error, {
          connection_id: connection?.id,
          user_id: connection?.identity.userId,
          address: connection?.address ?? (engine && addresses.of(engine.request)),
        });
        closeForLimit(engine, reader, error);
      },
    },
    {
      maxInflightCommands: websocket.maxInflightCommands,
      maxInflightBytes: websocket.maxInflightBytes,
      totalInflightBytes: websocket.totalInflightBytes,
      maxJoinBytes: websocket.maxJoinBytes,
      transportLimitBytes: websocket.transportLimitBytes,
      wastePacketsPerSec: limits.wastePacketsPerSec,
      clientTimeoutMs: websocket.clientTimeoutSecs * 1000,
    },
  );
}
