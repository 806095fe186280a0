const grouped = new Intl.NumberFormat('en-US');

export const number = (value: number): string => grouped.format(Math.round(value));

/** 412 k, 1.8 M: for figures that are read, not compared. */
export function short(value: number): string {
  if (value < 10 && !Number.isInteger(value)) return value.toFixed(1);
  if (value < 10_000) return number(value);
  return value < 1e6 ? `${number(value / 1e3)} k` : `${(value / 1e6).toFixed(1)} M`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return value < 1e9 ? `${number(value / 1e6)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}

export const ms = (value: number): string => (value < 10 ? value.toFixed(1) : number(value));

export function duration(secs: number): string {
  if (secs < 1) return '0 s';
  if (secs < 60) return `${Math.floor(secs)} s`;
  if (secs < 3600) return `${Math.floor(secs / 60)} min`;
  return secs < 172_800 ? `${Math.floor(secs / 3600)} h` : `${Math.floor(secs / 86_400)} days`;
}

export const exact = (at: number): string =>
  new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC');

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : many}`;

/** Characters that a browser obeys, or shows as nothing: control characters, marks of the writing direction, fillers, lone surrogates. */
const unseen = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u2800\ud800-\udfff]|(?!\ufe0f)\p{DI}/gu;

/** A name as a part of an address, which cannot hold half a character. */
export const addressPart = (name: string): string => encodeURIComponent(name.replace(/\p{Cs}/gu, '\ufffd'));

/** The text in pieces: those with `hidden` have to be shown as codes. */
export function visible(
  text: string,
  keepLines = false,
): { readonly text: string; readonly hidden: boolean }[] {
  const pieces: { text: string; hidden: boolean }[] = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(unseen)) {
    if (keepLines && (found === '\n' || found === '\t')) continue;
    if (index > from) pieces.push({ text: text.slice(from, index), hidden: false });
    pieces.push({ text: `\\u{${found.codePointAt(0)!.toString(16)}}`, hidden: true });
    from = index + found.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), hidden: false });
  return pieces;
}

/** The beginning of a text, for where there are no elements: titles. */
export const plain = (text: string, max: number): string =>
  visible(text.slice(0, max))
    .map((piece) => piece.text)
    .join('');
