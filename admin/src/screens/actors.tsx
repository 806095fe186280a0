import { useState } from 'preact/hooks';
import { call, pathOf, withQuery } from '../api.js';
import { ms, number, plural } from '../format.js';
import { Act, type Action } from '../parts/action.js';
import { Choice, Filter, List } from '../parts/list.js';
import { Badge, Id, Text } from '../parts/text.js';
import { linkTo } from '../router.js';
import { byCursor, missing, type Cursor } from './topics.js';

interface ActorsAnswer extends Cursor {
  readonly actors: readonly {
    readonly actor_id: string;
    readonly replica_id: string;
    readonly state: 'running' | 'restarting' | 'stopped';
    readonly mailbox_size: number;
    readonly processing_ms: number;
    readonly processed: number;
    readonly failed: number;
    readonly restart_count: number;
    readonly last_error: string | null;
  }[];
  readonly total: number;
}

const states = { running: 'ok', restarting: 'warning', stopped: 'critical' } as const;

export function Actors() {
  const [prefix, setPrefix] = useState('');
  const [state, setState] = useState('');
  const restart = (id: string): Action => ({
    title: 'Restart',
    method: 'POST',
    path: pathOf`/actors/${id}/restart`,
    effect: async () => {
      const { actors } = await call<ActorsAnswer>('GET', withQuery('/actors', { prefix: id, limit: '100' }));
      const same = actors.filter(({ actor_id: name, state: now }) => name === id && now !== 'running');
      const waiting = same.reduce((sum, { mailbox_size: size }) => sum + size, 0);
      return `${id} is restarted on ${plural(same.length, 'replica')} where it has failed; ${plural(waiting, 'message')} wait in its mailbox. Its earlier failures no longer count.`;
    },
    done: ({ restarted }: { restarted: readonly string[] }) =>
      restarted.length === 0 ? 'It had not failed any more.' : `Restarted on ${restarted.join(', ')}.`,
  });
  return (
    <>
      <div class="head">
        <h1>Actors</h1>
        <Filter label="Begins with" value={prefix} set={setPrefix} />
        <Choice
          label="State"
          value={state}
          set={setState}
          of={{ '': 'all', stopped: 'stopped', restarting: 'restarting', running: 'running' }}
        />
      </div>
      <List
        title="Actors: stopped ones first, then those with the longest mailboxes"
        path="/actors"
        fields={{ prefix: prefix || undefined, state: state || undefined }}
        rows={(answer: ActorsAnswer) => answer.actors}
        next={byCursor}
        keyOf={({ actor_id: id, replica_id: replica }) => `${id} ${replica}`}
        empty="No actor fits. A topic has one while it has traffic."
        aside={({ total, silent_replicas: silent }) => (
          <>
            {plural(total, 'actor')} {missing(silent)}
          </>
        )}
        columns={[
          {
            head: 'Actor',
            cell: ({ actor_id: id, last_error: error }) => (
              <>
                <Id of={id} {...(id.startsWith('topic:') && { href: linkTo('topic', id.slice(6)) })} />
                {error !== null && (
                  <p class="mute">
                    <Text of={error} />
                  </p>
                )}
              </>
            ),
          },
          { head: 'Replica', cell: ({ replica_id: id }) => <Id of={id} /> },
          { head: 'State', cell: ({ state: now }) => <Badge state={states[now]} word={now} /> },
          { head: 'Mailbox', isNumber: true, cell: ({ mailbox_size: size }) => number(size) },
          {
            head: 'Batch',
            isNumber: true,
            isExtra: true,
            cell: ({ processing_ms: time }) => `${ms(time)} ms`,
          },
          { head: 'Failed', isNumber: true, isExtra: true, cell: ({ failed }) => number(failed) },
          {
            head: 'Restarts',
            isNumber: true,
            isExtra: true,
            cell: ({ restart_count: count }) => number(count),
          },
          {
            head: 'Action',
            cell: ({ actor_id: id, state: now }) => now !== 'running' && <Act action={restart(id)} />,
          },
        ]}
      />
    </>
  );
}
