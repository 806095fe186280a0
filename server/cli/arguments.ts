import { InvalidArgumentError, Option } from 'commander';

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A timer of Node waits for 24.8 days at most, and does not wait at all for longer. */
const timerMax = '24d';

interface TimeRange {
  readonly least?: string;
  readonly most?: string;
  /** A number alone is seconds. Elsewhere it is refused: somebody means milliseconds. */
  readonly isInSeconds?: boolean;
}

interface NumberRange {
  readonly least: number;
  readonly most: number;
}

/** An option with a time, as `500ms`, `2s`, `5m`, `1h` or `7d`; its value is in milliseconds. The help names the limits. */
export function timeOption(
  flags: string,
  text: string,
  { least = '1ms', most = timerMax, isInSeconds = false }: TimeRange = {},
): Option {
  const seconds = isInSeconds ? '; a number alone is seconds' : '';
  return new Option(flags, `${text}${seconds} (${least} to ${most})`).argParser((given) => {
    const value = millisecondsOf(isInSeconds && /^\d+$/.test(given) ? `${given}s` : given);
    if (value === undefined || value < millisecondsOf(least)! || value > millisecondsOf(most)!)
      throw new InvalidArgumentError(
        `It is a whole number with ms, s, m, h or d, such as 10s, from ${least} to ${most}${isInSeconds ? '; a whole number alone is seconds, 1500ms is one and a half' : ''}.`,
      );
    return value;
  });
}

function millisecondsOf(text: string): number | undefined {
  const [, value, unit] = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text) ?? [];
  return value === undefined ? undefined : Number(value) * unitMs[unit as keyof typeof unitMs];
}

/** An option with a whole number. The help names the limits. */
export function wholeOption(flags: string, text: string, { least, most }: NumberRange): Option {
  return new Option(flags, `${text} (${least} to ${most})`).argParser((given) => {
    const value = Number(given);
    if (!/^\d{1,15}$/.test(given) || value < least || value > most)
      throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
    return value;
  });
}

/** An option with a number that may have a fraction. The help names the limits. */
export function numberOption(flags: string, text: string, { least, most }: NumberRange): Option {
  return new Option(flags, `${text} (${least} to ${most})`).argParser((given) => {
    const value = Number(given);
    if (!/^\d{1,9}(\.\d{1,9})?$/.test(given) || value < least || value > most)
      throw new InvalidArgumentError(`It is a number from ${least} to ${most}, such as 0.5.`);
    return value;
  });
}

/** For messages and looks that are counted. */
export const anyCount = { least: 1, most: 1_000_000_000 } as const;

/** Reads the time to live of a token, `15m`, `12h` or `30d`, which may be negative: a token that has expired. */
export function readTokenTime(text: string): string {
  if (!/^-?\d{1,6}[smhd]$/.test(text))
    throw new InvalidArgumentError(
      'It is a whole number of at most 6 digits with s, m, h or d, such as 12h: tokens live for whole seconds.',
    );
  return text;
}

/** Reads a text that is not empty. */
export function readText(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

/** Reads the id of a message. */
export function readMessageId(text: string): string {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
    throw new InvalidArgumentError('It is a UUID, as rtc publish prints it behind the position.');
  return text;
}

/** Reads the name of a user of Redis, which has no spaces. */
export function readUserName(text: string): string {
  if (!/^[\x21-\x7e]{1,100}$/.test(text))
    throw new InvalidArgumentError('It has 1 to 100 letters of ASCII, no spaces.');
  return text;
}

/** Reads a version of Redis: `7.0`, `7.2.4`. */
export function readVersion(text: string): string {
  if (!/^\d{1,3}\.\d{1,3}(\.\d{1,3})?$/.test(text))
    throw new InvalidArgumentError('It is a version, such as 7.2.');
  return text;
}

/** Reads `epoch:sequence`, as messages and answers give it. */
export function readPosition(text: string): { readonly epoch: string; readonly sequence: number } {
  const [, epoch, sequence] = /^([^:]+):(\d{1,15})$/.exec(text) ?? [];
  if (epoch === undefined)
    throw new InvalidArgumentError('It is epoch:sequence, and a sequence has at most 15 digits.');
  return { epoch, sequence: Number(sequence) };
}

/** A payload as JSON: the text as it was written if it is JSON, else as a JSON text. The service keeps numbers that JavaScript cannot hold. */
export function payloadJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
