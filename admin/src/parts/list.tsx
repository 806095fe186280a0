import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { withQuery } from '../api.js';
import { Panel, useResource } from './resource.js';
import { Table, type Column } from './table.js';

interface ListProps<Answer, Row> {
  readonly title: string;
  readonly path: string;
  /** Fields of the query; a change goes back to the first page. */
  readonly fields: Readonly<Record<string, string | undefined>>;
  readonly rows: (answer: Answer) => readonly Row[];
  /** The field that continues the list behind an answer; undefined: it is the last page. */
  readonly next: (answer: Answer) => readonly [field: string, value: string] | undefined;
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  readonly empty: string;
  readonly aside?: (answer: Answer) => ComponentChildren;
  readonly everyMs?: number;
}

/** A list that the server cuts, sorts and searches: the page holds one part of it. */
export function List<Answer, Row>(props: ListProps<Answer, Row>) {
  const { title, path, rows, next, columns, keyOf, empty, aside, everyMs = 5000 } = props;
  const start = withQuery(path, { limit: '50', ...props.fields });
  const [pages, setPages] = useState<{ start: string; at: (readonly [string, string])[] }>({ start, at: [] });
  const at = pages.start === start ? pages.at : [];
  const [field, value] = at.at(-1) ?? [];
  const asked =
    field === undefined ? start : withQuery(path, { limit: '50', ...props.fields, [field]: value });
  const list = useResource<Answer>(asked, everyMs);
  return (
    <Panel title={title} of={list} aside={list.answer !== undefined && aside?.(list.answer)}>
      {(answer) => {
        const following = next(answer);
        return (
          <>
            <Table caption={title} columns={columns} rows={rows(answer)} keyOf={keyOf} empty={empty} />
            {(at.length > 0 || following !== undefined) && (
              <div class="pages">
                <button disabled={at.length === 0} onClick={() => setPages({ start, at: at.slice(0, -1) })}>
                  Page before
                </button>
                <span>Page {at.length + 1}</span>
                <button
                  disabled={following === undefined}
                  onClick={() => following !== undefined && setPages({ start, at: [...at, following] })}
                >
                  Next page
                </button>
              </div>
            )}
          </>
        );
      }}
    </Panel>
  );
}

/** A filter that is applied with Enter, or when the field is left. */
export function Filter({
  label,
  value,
  set,
}: {
  readonly label: string;
  readonly value: string;
  readonly set: (value: string) => void;
}) {
  // What is being typed stays when the screen is read again.
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  return (
    <label class="filter">
      {label}
      <input
        type="search"
        maxLength={200}
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onChange={(event) => set(event.currentTarget.value)}
      />
    </label>
  );
}

/** A filter with a few values; the first one is none. */
export function Choice({
  label,
  value,
  set,
  of,
}: {
  readonly label: string;
  readonly value: string;
  readonly set: (value: string) => void;
  readonly of: Readonly<Record<string, string>>;
}) {
  return (
    <label class="filter">
      {label}
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        {Object.entries(of).map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
