import type { Bus, BusHandler } from '../../cluster/bus.js';

/**
 * The bus of a replica that runs alone. Messages to itself are delivered; there are no others to receive the
 * rest.
 */
export class MemoryBus implements Bus {
  private readonly handlers = new Map<string, BusHandler>();

  constructor(readonly replicaId: string) {}

  on(kind: string, handler: BusHandler): void {
    this.handlers.set(kind, handler);
  }

  send(replicaId: string, kind: string, data: unknown): void {
    if (replicaId === this.replicaId) this.handlers.get(kind)?.(data, replicaId);
  }

  async reach(replicaId: string, kind: string, data: unknown): Promise<boolean> {
    this.send(replicaId, kind, data);
    return replicaId === this.replicaId;
  }

  broadcast(): void {}

  async replicas(): Promise<string[]> {
    return [this.replicaId];
  }

  liveReplicas(): Promise<string[]> {
    return this.replicas();
  }

  async close(): Promise<void> {
    this.handlers.clear();
  }
}
