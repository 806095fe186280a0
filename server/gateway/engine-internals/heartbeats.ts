import type { EngineConnection } from './engine-connection.js';

/** Heartbeat timers of engine.io's socket. */
interface EngineHeartbeats {
  /** Runs while a ping is not answered; null while none is awaited. */
  readonly pingTimeoutTimer?: NodeJS.Timeout | null;
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
