import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
  /** Left out on phones. */
  readonly isExtra?: boolean;
}

/** A table. While the pointer or the focus is in it, rows stay where they are: numbers change, the order does not. */
export function Table<Row>({
  caption,
  columns,
  rows,
  keyOf,
  empty,
}: {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  empty: string;
}) {
  const table = useRef<HTMLDivElement>(null);
  const order = useRef<readonly string[]>([]);
  const shown =
    table.current?.matches(':hover, :focus-within') === true ? inOrder(rows, keyOf, order.current) : rows;
  order.current = shown.map(keyOf);
  if (rows.length === 0) return <p class="note">{empty}</p>;
  const classOf = ({ isNumber, isExtra }: Column<Row>) =>
    [isNumber === true && 'n', isExtra === true && 'extra'].filter(Boolean).join(' ');
  return (
    <div class="scroll" ref={table} tabIndex={0} role="group" aria-label={`${caption}, table`}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.head} scope="col" class={classOf(column)}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <td key={column.head} class={classOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Rows that were there before keep their places; new ones follow. */
function inOrder<Row>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  before: readonly string[],
): readonly Row[] {
  const places = new Map(before.map((key, place) => [key, place]));
  const placeOf = (row: Row) => places.get(keyOf(row)) ?? before.length;
  return [...rows].sort((one, other) => placeOf(one) - placeOf(other));
}

/** Facts about one thing. */
export function Facts({
  of,
}: {
  of: readonly (readonly [name: string, value: ComponentChildren] | false | undefined)[];
}) {
  return (
    <dl class="facts">
      {of.map(
        (fact) =>
          fact !== false &&
          fact !== undefined && (
            <div key={fact[0]}>
              <dt>{fact[0]}</dt>
              <dd>{fact[1]}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
