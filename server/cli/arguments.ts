import { InvalidArgumentError } from 'commander';

/** Reads `500ms`, `2s`, `5m` or `1h`; resolves to milliseconds. */
export function readTime(text: string): number {
  const [, value, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  if (value === undefined) throw new InvalidArgumentError('It is a number and ms, s, m or h.');
  return Number(value) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h'];
}

/** Reads a whole number from 1. */
export function readCount(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('It is a number from 1.');
  return Number(text);
}

/** Reads a whole number from 1 to `most`. */
export const readCountTo =
  (most: number) =>
  (text: string): number => {
    const value = readCount(text);
    if (value > most) throw new InvalidArgumentError(`It is a number from 1 to ${most}.`);
    return value;
  };

/** Reads a whole number from 0. */
export function readNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It is a number from 0.');
  return Number(text);
}

/** Reads the time to live of a token, `15m`, `12h` or `30d`, which may be negative: a token that has expired. */
export function readTokenTime(text: string): string {
  if (!/^-?\d{1,6}[smhd]$/.test(text)) throw new InvalidArgumentError('It is a number and s, m, h or d.');
  return text;
}

/** Reads a text that is not empty. */
export function readText(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

/** Reads `epoch:sequence`, as messages and answers give it. */
export function readPosition(text: string): { readonly epoch: string; readonly sequence: number } {
  const [, epoch, sequence] = /^([^:]+):(\d{1,15})$/.exec(text) ?? [];
  if (epoch === undefined)
    throw new InvalidArgumentError('It is epoch:sequence, and a sequence has at most 15 digits.');
  return { epoch, sequence: Number(sequence) };
}

/** A payload is JSON, or text if it is not JSON. */
export function payloadOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
