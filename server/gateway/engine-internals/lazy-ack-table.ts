import type { AckTable } from './acknowledgements.js';

/**
 * Socket.IO's table of awaited acknowledgements, created with the first entry: most connections never need
 * it.
 */
export class LazyAckTable implements AckTable {
  private table: Map<number, (...args: unknown[]) => void> | undefined;

  get(id: number): ((...args: unknown[]) => void) | undefined {
    return this.table?.get(id);
  }

  set(id: number, onAck: (...args: unknown[]) => void): void {
    (this.table ??= new Map()).set(id, onAck);
  }

  delete(id: number): boolean {
    return this.table?.delete(id) ?? false;
  }
}
