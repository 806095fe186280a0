import { randomBytes } from 'node:crypto';

/** What a replica says of itself to the others. */
export interface ReplicaIdentity {
  /**
   * Unique to one process: what a process leaves behind in the store never belongs to another one, also not to its
   * successor of the same name.
   */
  readonly id: string;
  /** As configured, or generated: what operators see. */
  readonly name: string;
  readonly version: string;
  /** The settings that should be the same on all replicas. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Begins the part of an id that differs for each process of a name. */
const separator = '~';

/** The id of a new process with a configured name. */
export function newReplicaId(name: string): string {
  return `${name}${separator}${randomBytes(4).toString('hex')}`;
}

/** The name of a replica, from its id. */
export function replicaName(id: string): string {
  return id.replace(/~[0-9a-f]{8}$/, '');
}
