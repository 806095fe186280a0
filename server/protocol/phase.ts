/**
 * What a service is doing. `draining`: clients are moved to other replicas; commands are still served. `stopping`: nothing is begun any more.
 */
export type Phase = 'starting' | 'running' | 'draining' | 'stopping';

/** The phase as operators see it: both ways to the end have one name. */
export function shownPhase(phase: Phase): Exclude<Phase, 'stopping'> {
  return phase === 'stopping' ? 'draining' : phase;
}
