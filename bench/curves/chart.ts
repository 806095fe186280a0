/** One line of a chart. Points are in ascending order of x. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

interface Chart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly series: readonly Series[];
}

const size = { width: 640, height: 360 } as const;
const plot = { left: 64, top: 44, right: 470, bottom: 310 } as const;
/** Readable on light and dark pages, and apart for colour-blind readers (Okabe and Ito). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];
const grey = '#808080';

/** A line chart with logarithmic axes, as SVG. Values of 0 are drawn at the lower end. */
export function lineChart({ title, xTitle, yTitle, series }: Chart): string {
  const xs = axis(series.flatMap(({ points }) => points.map(([x]) => x)));
  const ys = axis(series.flatMap(({ points }) => points.map(([, y]) => y)));
  const x = (value: number) => plot.left + xs.place(value) * (plot.right - plot.left);
  const y = (value: number) => plot.bottom - ys.place(value) * (plot.bottom - plot.top);
  const middleY = (plot.top + plot.bottom) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif" font-size="12" fill="${grey}">`,
    `<title>${escape(title)}</title>`,
    text(plot.left, 22, title, 'font-size="14" font-weight="bold"'),
    text((plot.left + plot.right) / 2, size.height - 12, xTitle, 'text-anchor="middle"'),
    text(16, middleY, yTitle, `text-anchor="middle" transform="rotate(-90 16 ${middleY})"`),
    ...xs.ticks.flatMap((tick) => [
      line(x(tick), plot.top, x(tick), plot.bottom),
      text(x(tick), plot.bottom + 18, short(tick), 'text-anchor="middle"'),
    ]),
    ...ys.ticks.flatMap((tick) => [
      line(plot.left, y(tick), plot.right, y(tick)),
      text(plot.left - 8, y(tick) + 4, short(tick), 'text-anchor="end"'),
    ]),
    ...series.flatMap(({ name, points }, i) => {
      const colour = colours[i % colours.length]!;
      const path = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ');
      return [
        `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...points.map(
          ([px, py]) => `<circle cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}" r="3" fill="${colour}"/>`,
        ),
        `<rect x="${plot.right + 14}" y="${plot.top + 20 * i}" width="10" height="10" fill="${colour}"/>`,
        text(plot.right + 30, plot.top + 20 * i + 10, name, ''),
      ];
    }),
    '</svg>',
    '',
  ].join('\n');
}

/** A logarithmic axis around some values, with ticks at 1, 2 and 5 of each decade. */
function axis(values: readonly number[]): {
  readonly ticks: readonly number[];
  /** The place of a value, from 0 to 1. */
  readonly place: (value: number) => number;
} {
  const shown = values.filter((value) => value > 0 && Number.isFinite(value));
  const least = shown.length === 0 ? 1 : Math.min(...shown);
  const most = shown.length === 0 ? 10 : Math.max(...shown);
  const steps: number[] = [];
  for (let decade = 10 ** Math.floor(Math.log10(least)); decade <= most * 10; decade *= 10)
    for (const factor of [1, 2, 5]) steps.push(Number((decade * factor).toPrecision(1)));
  const from = Math.max(...steps.filter((step) => step <= least * (1 + 1e-9)));
  const above = Math.min(...steps.filter((step) => step >= most * (1 - 1e-9)));
  const to = above > from ? above : from * 10;
  const [low, high] = [Math.log(from), Math.log(to)];
  return {
    ticks: steps.filter((step) => step >= from && step <= to),
    place: (value) => (value > 0 ? Math.min(1, Math.max(0, (Math.log(value) - low) / (high - low))) : 0),
  };
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  const at = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<path d="M${at[0]} ${at[1]}L${at[2]} ${at[3]}" stroke="${grey}" stroke-opacity="0.3"/>`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escape(content)}</text>`;
}

function short(value: number): string {
  return value >= 1000 ? `${value / 1000}k` : String(value);
}

function escape(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
