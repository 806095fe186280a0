import { useState } from 'preact/hooks';
import { bytes, number } from '../format.js';
import { linkTo } from '../router.js';
import { List } from './list.js';
import { Ago, Id, Text } from './text.js';

/** A message of a log, as operators read it. */
export interface StoredMessage {
  readonly id: string;
  readonly sequence: number;
  readonly sender?: string | null;
  readonly timestamp?: number;
  readonly payload?: unknown;
}

/** Stored messages with their payloads; `until` in milliseconds since 1970. */
export function Payloads<Answer>(props: {
  readonly title: string;
  readonly path: string;
  readonly until?: number | undefined;
  readonly rows: (answer: Answer) => readonly StoredMessage[];
  readonly next: (answer: Answer) => readonly [string, string] | undefined;
  readonly empty: string;
}) {
  const { until } = props;
  return (
    <List
      title={props.title}
      path={props.path}
      fields={{ limit: '20', until: until === undefined ? undefined : String(until) }}
      rows={props.rows}
      next={props.next}
      keyOf={({ id, sequence }) => `${id} ${sequence}`}
      empty={until === undefined ? props.empty : 'There is no message of that time or before.'}
      columns={[
        { head: 'Sequence', isNumber: true, cell: ({ sequence }) => number(sequence) },
        { head: 'Time', cell: ({ timestamp }) => <Ago at={timestamp} /> },
        {
          head: 'Sender',
          isExtra: true,
          cell: ({ sender }) =>
            typeof sender === 'string' ? <Id of={sender} href={linkTo('user', sender)} /> : '–',
        },
        { head: 'Message', isExtra: true, cell: ({ id }) => <Id of={id} href={linkTo('message', id)} /> },
        { head: 'Payload', cell: ({ payload }) => <Payload of={payload} /> },
      ]}
    />
  );
}

/** Characters that are drawn at once: a payload of a megabyte must not stop the page. */
const pieceSize = 10_000;

/** A payload: one line, then, on request, all of it, piece by piece. */
export function Payload({ of }: { of: unknown }) {
  const [pieces, setPieces] = useState(0);
  const line = typeof of === 'string' ? of : (JSON.stringify(of) ?? '–');
  if (pieces === 0)
    return (
      <>
        <code class="payload">
          <Text of={line} max={120} />
        </code>{' '}
        {(line.length > 120 || (typeof of === 'object' && of !== null)) && (
          <button class="quiet small" onClick={() => setPieces(1)}>
            show all, {bytes(line.length)}
          </button>
        )}
      </>
    );
  const whole = line.length > 200_000 || typeof of === 'string' ? line : JSON.stringify(of, null, 2);
  return (
    <>
      <pre tabIndex={0} aria-label="Payload">
        {Array.from({ length: pieces }, (_, i) => (
          <Text key={i} of={whole.slice(i * pieceSize, (i + 1) * pieceSize)} max={pieceSize} lines />
        ))}
      </pre>
      {whole.length > pieces * pieceSize && (
        <button onClick={() => setPieces(pieces + 1)}>
          more: {bytes(whole.length - pieces * pieceSize)}
        </button>
      )}{' '}
      <button class="quiet small" onClick={() => setPieces(0)}>
        less
      </button>
    </>
  );
}
