import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

/** What the heap, and the whole process, may take at most. */
export function memoryLimits(): { readonly heap_limit_bytes: number; readonly limit_bytes: number } {
  const machine = totalmem();
  const constrained = process.constrainedMemory();
  // Without a limit it is 0, or larger than any machine.
  const limit = constrained > 0 && constrained < machine ? constrained : machine;
  return { heap_limit_bytes: getHeapStatistics().heap_size_limit, limit_bytes: limit };
}
