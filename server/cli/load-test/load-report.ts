import type { LoadResult } from './load-result.js';

const size = { width: 720, height: 200, left: 60, bottom: 24 } as const;

interface Series {
  readonly name: string;
  readonly colour: string;
  readonly values: readonly number[];
}

/** A page with the result, by itself: no scripts, nothing from elsewhere. Charts are SVG, each with a text of what it shows. */
export function reportPage(result: LoadResult): string {
  const { url, at, options, seconds, percentiles, failed, latency_ms: latency } = result;
  const times = seconds.map((second) => `${second.at - (seconds[0]?.at ?? 0)} s`);
  const verdict = failed.length === 0 ? 'No threshold is crossed.' : `Failed: ${failed.join('; ')}.`;
  const rows = Object.entries({ ...options, ...flat(result) });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Load test of ${escape(url)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 780px; margin: 2em auto; padding: 0 1em }
svg { width: 100%; height: auto } text { font-size: 11px; fill: currentColor }
table { border-collapse: collapse } td { padding: 2px 12px 2px 0; border-bottom: 1px solid #8884 }
</style></head><body>
<h1>Load test</h1>
<p>${escape(url)}, ${new Date(at).toISOString()}. <strong>${escape(verdict)}</strong></p>
<h2>Messages per second</h2>
${chart('messages', times, [
  { name: 'sent', colour: '#2a7ae2', values: seconds.map(({ sent }) => sent) },
  { name: 'received', colour: '#2a9d54', values: seconds.map(({ received }) => received) },
])}
<h2>Latency over time, in milliseconds</h2>
${chart('latency', times, [
  { name: 'p50', colour: '#2a7ae2', values: seconds.map(({ p50_ms: p50 }) => p50) },
  { name: 'p99', colour: '#d0452b', values: seconds.map(({ p99_ms: p99 }) => p99) },
])}
<h2>Latency by percentile, in milliseconds</h2>
${chart(
  'percentiles',
  percentiles.map(({ percentile }) => `p${percentile}`),
  [{ name: `p99 ${latency.p99} ms`, colour: '#8a4fd0', values: percentiles.map(({ ms }) => ms) }],
)}
<h2>Figures</h2>
<table>${rows.map(([name, value]) => `<tr><td>${escape(name)}</td><td>${escape(String(value))}</td></tr>`).join('')}</table>
</body></html>
`;
}

function flat({
  connections,
  sent,
  acknowledged,
  received,
  expected,
  lost,
  loss_percent,
  duplicates,
  out_of_order,
  errors,
  latency_ms: latency,
}: LoadResult): object {
  const latencies = Object.fromEntries(
    Object.entries(latency).map(([name, ms]) => [`latency ${name.replace('_', '.')}`, `${ms} ms`]),
  );
  return {
    connected: connections,
    sent,
    acknowledged,
    received,
    expected,
    lost,
    loss_percent,
    duplicates,
    out_of_order,
    errors: JSON.stringify(errors),
    ...latencies,
  };
}

function chart(id: string, labels: readonly string[], series: readonly Series[]): string {
  const { width, height, left, bottom } = size;
  const highest = Math.max(1, ...series.flatMap(({ values }) => values));
  const x = (i: number) => left + ((width - left - 10) * i) / Math.max(1, labels.length - 1);
  const y = (value: number) => 10 + (height - bottom - 10) * (1 - value / highest);
  const lines = series.map(({ name, colour, values }) => {
    const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline data-series="${escape(name)}" points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>`;
  });
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(highest * share).toFixed(1);
    return `<line x1="${left}" x2="${width - 10}" y1="${at}" y2="${at}" stroke="#8886"/><text x="${left - 6}" y="${at}" text-anchor="end">${Number((highest * share).toPrecision(3))}</text>`;
  });
  const every = Math.ceil(labels.length / 12);
  const names = labels.map((label, i) =>
    i % every === 0
      ? `<text x="${x(i).toFixed(1)}" y="${height - 6}" text-anchor="middle">${escape(label)}</text>`
      : '',
  );
  const legend = series.map(
    ({ name, colour }, i) =>
      `<text x="${left + 10 + i * 110}" y="20" style="fill:${colour}">${escape(name)}</text>`,
  );
  const summary = series.map(({ name, values }) => `${name}: at most ${Math.max(0, ...values)}`).join('; ');
  return `<svg id="${id}" role="img" aria-label="${escape(summary)}" viewBox="0 0 ${width} ${height}">${[...grid, ...names, ...lines, ...legend].join('')}</svg>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
