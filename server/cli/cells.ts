/** Characters that take two cells of a terminal: of East Asia, and emoji. */
const wide =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Cuts a text that takes more cells of a terminal than there are. */
export function cutToCells(text: string, width: number): string {
  return measured(text, width).text;
}

/** Brings a text to a width in cells of a terminal: it is cut, which is shown, or filled with spaces. */
export function fitToCells(text: string, width: number): string {
  const whole = measured(text, width);
  if (whole.text === text) return text + ' '.repeat(width - whole.cells);
  const { text: cut, cells } = measured(text, width - 1);
  return `${cut}…${' '.repeat(width - 1 - cells)}`;
}

/** The cells of a terminal that a text takes. */
export function cellsOf(text: string): number {
  return /^[ -~]*$/.test(text) ? text.length : measured(text, Infinity).cells;
}

/** What fits into `width`, and the cells that it takes. */
function measured(text: string, width: number): { readonly text: string; readonly cells: number } {
  let fitting = '';
  let cells = 0;
  for (const { segment } of graphemes.segment(text)) {
    const more = wide.test(segment) ? 2 : /^[\p{M}\p{Cf}]+$/u.test(segment) ? 0 : 1;
    if (cells + more > width) break;
    fitting += segment;
    cells += more;
  }
  return { text: fitting, cells };
}
