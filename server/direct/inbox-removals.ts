import type { Broker } from '../log/broker.js';

/** Acknowledged messages leave their inbox, those of one turn of the event loop in one call per inbox. */
export class InboxRemovals {
  /** Messages that are still to be removed, by topic and epoch. */
  private readonly done = new Map<string, { topic: string; epoch: string; sequences: number[] }>();
  private isDue = false;

  constructor(private readonly dependencies: { readonly broker: Pick<Broker, 'remove'> }) {}

  add(topic: string, epoch: string, sequence: number): void {
    const name = `${epoch} ${topic}`;
    const done = this.done.get(name);
    if (done === undefined) this.done.set(name, { topic, epoch, sequences: [sequence] });
    else done.sequences.push(sequence);
    if (this.isDue) return;
    this.isDue = true;
    setImmediate(() => void this.remove());
  }

  private async remove(): Promise<void> {
    this.isDue = false;
    const batches = [...this.done.values()];
    this.done.clear();
    for (const { topic, epoch, sequences } of batches) {
      try {
        await this.dependencies.broker.remove(topic, sequences, epoch);
      } catch {
        // They stay in the inbox and are sent again: delivery is at least once.
      }
    }
  }
}
