import type { EngineConnection } from './engine-connection.js';

/** Heartbeat timers of engine.io's socket. */
interface EngineHeartbeats {
  /** Runs while a ping is not answered; null while none is awaited. */
  readonly pingTimeoutTimer?: NodeJS.Timeout | null;
  /** Runs until the next ping. */
  readonly pingIntervalTimer?: NodeJS.Timeout | null;
  hasRefreshedPingTimeout?: boolean;
  sendPacket?(type: 'ping'): void;
  resetPingTimeout?(): void;
}

/** Whether the service has sent an Engine.IO ping that is not answered yet. */
export function awaitsPong(engine: EngineConnection): boolean {
  return (engine as unknown as EngineHeartbeats).pingTimeoutTimer !== null;
}

/** Gives the client the whole time again to answer the present ping: it is the service that does not read. */
export function postponeTimeout(engine: EngineConnection): void {
  if (engine.postponeTimeout !== undefined) engine.postponeTimeout();
  else (engine as unknown as EngineHeartbeats).pingTimeoutTimer?.refresh();
}

/** Sends a ping whose answer is announced as `heartbeat`. False: one is under way, whose answer comes first. */
export function pingForAnswer(engine: EngineConnection): boolean {
  if (engine.pingLast !== undefined) return engine.pingLast();
  if (awaitsPong(engine)) return false;
  pingNow(engine);
  return true;
}

/**
 * Sends a ping now instead of at the end of the interval, unless the answer to one is awaited. There is never
 * more than one ping under way: its answer confirms what was written before it.
 */
export function pingNow(engine: EngineConnection): void {
  if (engine.pingNow !== undefined) {
    engine.pingNow();
    return;
  }
  const own = engine as unknown as EngineHeartbeats;
  if (awaitsPong(engine) || own.sendPacket === undefined || own.resetPingTimeout === undefined) return;
  own.pingIntervalTimer?.refresh();
  own.hasRefreshedPingTimeout = false;
  own.sendPacket('ping');
  own.resetPingTimeout();
}
