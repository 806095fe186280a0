import { Chart } from './chart.js';

/** A figure with its course. */
export function Tile(props: {
  readonly title: string;
  readonly value: number;
  readonly unit?: string;
  readonly more?: string;
  readonly isWarning?: boolean;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly format: (value: number) => string;
}) {
  const { title, value, unit = '', more, isWarning = false, times, values, format } = props;
  return (
    <div class={`tile ${isWarning ? 'warn' : ''}`}>
      <h2>{title}</h2>
      <strong>
        {format(value)} {unit}
      </strong>{' '}
      <small>{more}</small>
      <Chart title={title} unit={unit} times={times} values={values} format={format} isWarning={isWarning} />
    </div>
  );
}
