import { useEffect, useId, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import { signal } from '@preact/signals';

const theme = signal(0);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => theme.value++);

/** A series over time: a picture, a sentence, and a table behind a button. */
export function Chart({
  title,
  unit,
  times,
  values,
  format,
  isWarning = false,
}: {
  readonly title: string;
  readonly unit: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly format: (value: number) => string;
  readonly isWarning?: boolean;
}) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const id = useId();
  const turned = theme.value;
  useEffect(() => {
    const element = box.current!;
    // A canvas knows no variables of style sheets: the colour of the text of its box is used.
    const colour = () => getComputedStyle(element).color;
    const made = new UPlot(
      {
        width: Math.max(50, element.clientWidth),
        height: 36,
        legend: { show: false },
        cursor: { show: false },
        padding: [2, 0, 2, 0],
        axes: [{ show: false }, { show: false }],
        scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        series: [{}, { stroke: colour, width: 1.5, points: { show: false } }],
      },
      [[], []],
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: Math.max(50, element.clientWidth), height: 36 }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [turned]);
  const last = times.at(-1);
  useEffect(() => plot.current?.setData([[...times], [...values]]), [last, values.length, turned, isWarning]);
  const now = values.at(-1);
  const summary =
    now === undefined
      ? `${title}: no figures yet.`
      : `${title} over the last ${Math.max(1, Math.round(((last ?? 0) - (times[0] ?? 0)) / 60))} minutes: now ${format(now)} ${unit}, lowest ${format(Math.min(...values))}, highest ${format(Math.max(...values))}.`;
  // One row in twelve is enough to read.
  const rows = times
    .map((time, i) => ({ time, value: values[i] ?? 0 }))
    .filter((_, i) => (times.length - 1 - i) % 12 === 0);
  return (
    <div class="chart">
      <div ref={box} class={`plot ${isWarning ? 'warn' : ''}`} role="img" aria-label={summary} />
      {values.length < 2 && <p class="mute small wait">The chart begins now.</p>}
      <button class="quiet small" popovertarget={id} aria-label={`${title} as a table`}>
        table
      </button>
      <div id={id} popover="auto" class="popover" role="dialog" aria-label={`${title}, as a table`}>
        <p>{summary}</p>
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col" class="n">
                {title}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ time, value }) => (
              <tr key={time}>
                <td>{new Date(time * 1000).toLocaleTimeString()}</td>
                <td class="n">
                  {format(value)} {unit}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
