import { useEffect, useState } from 'preact/hooks';
import { withQuery } from '../api.js';
import { bytes, short } from '../format.js';
import { useResource } from './resource.js';
import { Text } from './text.js';
import { Tile } from './tile.js';

/** The answer of `GET /admin/talkers`. */
export interface TalkersAnswer {
  readonly talkers: readonly Talker[];
  readonly silent_replicas: readonly string[];
}

export interface Talker extends Rates {
  readonly name: string;
  readonly user_id?: string;
  readonly replicas: readonly string[];
}

export interface Rates {
  readonly commands_per_sec: number;
  readonly messages_per_sec: number;
  readonly bytes_per_sec: number;
  readonly refused_per_sec: number;
}

/** Who sends nothing is not listed. */
const nothing: Rates = { commands_per_sec: 0, messages_per_sec: 0, bytes_per_sec: 0, refused_per_sec: 0 };
const titles = {
  commands_per_sec: 'Commands per second',
  messages_per_sec: 'Messages per second',
  bytes_per_sec: 'Bytes per second',
  refused_per_sec: 'Refused per second',
} as const;
/** Ten minutes. */
const samplesKept = 300;

/** What one user, connection or topic sends or receives: now, and since the screen was opened. */
export function RatesOf({ by, name }: { by: 'user' | 'connection' | 'topic'; name: string }) {
  const found = useResource<TalkersAnswer>(withQuery('/talkers', { by, name }), 2000);
  const { answer, at } = found;
  const [samples, keep] = useState<readonly (Rates & { readonly time: number })[]>([]);
  useEffect(() => {
    if (answer !== undefined)
      keep([...samples, { ...(answer.talkers[0] ?? nothing), time: at / 1000 }].slice(-samplesKept));
  }, [answer]);
  const now = samples.at(-1);
  return (
    <>
      {found.error !== undefined && (
        <p class="note" role="status">
          No newer rates: <Text of={found.error.message} />
        </p>
      )}
      <section class="tiles" aria-label="Rates, since this screen was opened">
        {(Object.keys(titles) as (keyof Rates)[])
          // A command to a topic is a message.
          .filter((field) => by !== 'topic' || field !== 'commands_per_sec')
          .map((field) => (
            <Tile
              key={field}
              title={titles[field]}
              value={now?.[field] ?? 0}
              times={samples.map(({ time }) => time)}
              values={samples.map((sample) => sample[field])}
              format={field === 'bytes_per_sec' ? (value) => bytes(Math.round(value)) : short}
              isWarning={field === 'refused_per_sec' && (now?.[field] ?? 0) >= 1}
            />
          ))}
      </section>
    </>
  );
}
