import type { Position } from '../../../shared/position.js';
import type { Batch } from '../../log/broker.js';

const newline = 0x0a;

/**
 * Reads a batch as `append.lua` publishes it:
 * `<epoch> <first sequence> - <length> <length> …\n`, then the entries, one after the other. Version 0.1 puts the
 * earlier epochs in the place of `-`; nobody reads them. Nothing is copied: the entries are views of `message`.
 */
export function decodeBatch(topic: string, message: Buffer): Batch {
  const headerEnd = message.indexOf(newline);
  const [epoch, first, , ...lengths] = message.toString('latin1', 0, headerEnd).split(' ');
  let at = headerEnd + 1;
  const entries = lengths.map((length) => message.subarray(at, (at += Number(length))));
  return { topic, epoch: epoch!, firstSequence: Number(first), entries };
}

/** Reads the ends of earlier epochs, `epoch:sequence,…`, newest first. */
export function decodePrevious(text: string): Position[] {
  if (text === '') return [];
  return text.split(',').map((pair) => {
    const colon = pair.indexOf(':');
    return { epoch: pair.slice(0, colon), sequence: Number(pair.slice(colon + 1)) };
  });
}
