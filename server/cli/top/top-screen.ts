import { cutToCells, fitToCells } from '../cells.js';
import type { Paint } from '../terminal.js';
import { printable } from '../text-table.js';
import type { TopView } from './top-view.js';

/** The lines of the screen; none is longer than the terminal is wide. */
export function topLines(
  view: TopView,
  {
    url,
    columns,
    rows,
    paint,
  }: { readonly url: string; readonly columns: number; readonly rows: number; readonly paint: Paint },
): string[] {
  const [userWidth, topicWidth] = [Math.max(8, columns - 44), Math.max(8, columns - 24)];
  const name = (text: string, width: number) => fitToCells(printable(text), width);
  const number = (value: number, width = 9) => String(value).padStart(width);
  const clipped = (line: string) => cutToCells(line, columns);
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  const head = [
    paint.bold(
      clipped(
        `rtc top  ${url}  ${new Date(view.at).toISOString().slice(11, 19)}  mode ${printable(view.mode)}   q quits`,
      ),
    ),
    clipped(
      `connections ${view.connections}   published ${view.published_per_sec}/s   delivered ${view.delivered_per_sec}/s`,
    ),
    clipped(
      `refused ${view.refused_per_sec}/s   gaps ${view.gaps_per_sec}/s   slow readers ${view.slow_readers}`,
    ),
    '',
    paint.bold(
      clipped(
        `${'REPLICA'.padEnd(24)}${'CONN'.padStart(9)}${'PUB/S'.padStart(9)}${'DELIV/S'.padStart(9)}${'LAG MS'.padStart(9)}${'MEMORY'.padStart(11)}`,
      ),
    ),
    ...view.replicas.slice(0, 8).map((one) => {
      const {
        replica_id: id,
        connections,
        published_per_sec: published,
        delivered_per_sec: delivered,
        lag_ms: lag,
        rss_bytes: rss,
      } = one;
      return clipped(
        name(id, 24) +
          number(connections) +
          number(published) +
          number(delivered) +
          number(lag) +
          mb(rss).padStart(11),
      );
    }),
    '',
    paint.bold(
      clipped(`${'TOPIC'.padEnd(topicWidth)}${'MESSAGES/S'.padStart(12)}${'SUBSCRIBERS'.padStart(12)}`),
    ),
    ...view.topics
      .slice(0, 6)
      .map(({ topic, per_sec: perSec, subscribers }) =>
        clipped(name(topic, topicWidth) + number(perSec, 12) + number(subscribers, 12)),
      ),
    '',
    paint.bold(
      clipped(
        `${'USER'.padEnd(userWidth)}${'COMMANDS/S'.padStart(11)}${'MESSAGES/S'.padStart(11)}${'KB/S'.padStart(11)}${'REFUSED/S'.padStart(11)}`,
      ),
    ),
  ];
  const sent = view.users.slice(0, 6).map((user) => {
    const { commands_per_sec: commands, messages_per_sec: messages, refused_per_sec: refused } = user;
    const figures = [commands, messages, user.bytes_per_sec / 1000, refused];
    return clipped(
      name(user.name, userWidth) + figures.map((figure) => number(Math.round(figure), 11)).join(''),
    );
  });
  return [...head, ...sent].slice(0, rows);
}
