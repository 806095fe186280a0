import { unseen, unseenEscapedInJson } from '../logging/log-text.js';
import { cellsOf } from './cells.js';

/** Columns of text, aligned, for people. Control characters in names cannot move the cursor. */
export function textTable(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const lines = [head, ...rows.map((row) => row.map((cell) => printable(String(cell))))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => cellsOf(line[column] ?? ''))));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell + ' '.repeat(widths[column]! - cellsOf(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Replaces what a terminal obeys instead of showing, so that names and payloads of strangers do not control it, and stay in their line. */
export function printable(text: string): string {
  return text.replace(unseen, '\ufffd');
}

/** The same for several lines: tabs and ends of lines stay and, with `colours`, what our own colours are made of. */
export function printableLines(text: string, { colours }: { readonly colours: boolean }): string {
  const own = colours ? /(\u001b\[[0-9]{1,2}m)/ : /(?!)/;
  return text
    .split(own)
    .map((part, i) =>
      i % 2 === 1 ? part : part.replace(unseen, (char) => (/[\n\t]/.test(char) ? char : '\ufffd')),
    )
    .join('');
}

/** JSON text on one line that controls no terminal: what it means stays the same. */
export function jsonLine(json: string): string {
  return unseenEscapedInJson(json);
}

/** Local time of day with milliseconds. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  const seconds = `${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  return `${two(date.getHours())}:${two(date.getMinutes())}:${seconds}`;
}

/** What a page says that a proxy answers with, on one line. */
export function wordsOf(page: string): string {
  return page
    .slice(0, 2000)
    .replace(/<[^<>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200);
}
