import { useState } from 'preact/hooks';
import { call, pathOf, withQuery } from '../api.js';
import { number, plural, short } from '../format.js';
import { Act, type Action } from '../parts/action.js';
import { Filter, Choice, List } from '../parts/list.js';
import { Payloads, type StoredMessage } from '../parts/payloads.js';
import { RatesOf, type TalkersAnswer } from '../parts/rates.js';
import { Panel, useResource } from '../parts/resource.js';
import { freezeAction } from '../parts/switches.js';
import { Facts, Table } from '../parts/table.js';
import { Badge, Id } from '../parts/text.js';
import { linkTo } from '../router.js';
import { may } from '../session.js';

export interface Cursor {
  readonly cursor: string | null;
  readonly silent_replicas?: readonly string[];
}

/** Walks a list by its cursor. */
export const byCursor = ({ cursor }: Cursor) => (cursor === null ? undefined : (['cursor', cursor] as const));

export function missing(silent: readonly string[] = []) {
  return (
    silent.length > 0 && (
      <Badge state="warning" word={`without ${silent.join(', ')}, which does not answer`} />
    )
  );
}

interface TopicsAnswer extends Cursor {
  readonly topics: readonly {
    readonly topic: string;
    readonly subscribers: number;
    readonly behind: number;
    readonly position: { readonly epoch: string; readonly sequence: number };
    readonly replicas: readonly string[];
    readonly frozen: boolean;
  }[];
  readonly truncated: boolean;
}

export function Topics() {
  const [prefix, setPrefix] = useState('');
  const [order, setOrder] = useState('subscribers');
  return (
    <>
      <div class="head">
        <h1>Topics</h1>
        <Filter label="Begins with" value={prefix} set={setPrefix} />
        <Choice
          label="Sorted by"
          value={order}
          set={setOrder}
          of={{ subscribers: 'subscribers (first 50)', name: 'name (all, in pages)' }}
        />
      </div>
      <List
        title="Active topics"
        path="/topics"
        fields={{ prefix: prefix || undefined, cursor: order === 'name' ? '' : undefined }}
        rows={(answer: TopicsAnswer) => answer.topics}
        next={byCursor}
        everyMs={2000}
        keyOf={({ topic }) => topic}
        aside={({ silent_replicas: silent, truncated }) => (
          <>
            {missing(silent)}{' '}
            {truncated && order !== 'name' && 'There are more: sort by name to page through all.'}
          </>
        )}
        empty="No topic has subscribers. A topic appears when a client subscribes to it; a stored one can be opened by its name, with the search."
        columns={[
          { head: 'Topic', cell: ({ topic }) => <Id of={topic} href={linkTo('topic', topic)} /> },
          { head: 'Subscribers', isNumber: true, cell: ({ subscribers }) => number(subscribers) },
          { head: 'Catching up', isNumber: true, isExtra: true, cell: ({ behind }) => number(behind) },
          { head: 'Position', isNumber: true, cell: ({ position }) => number(position.sequence) },
          { head: 'Replicas', isExtra: true, cell: ({ replicas }) => replicas.join(', ') },
          {
            head: 'State',
            isExtra: true,
            cell: ({ frozen }) => (
              <Badge state={frozen ? 'warning' : 'ok'} word={frozen ? 'frozen' : 'live'} />
            ),
          },
        ]}
      />
    </>
  );
}

interface TopicAnswer {
  readonly topic: string;
  readonly position: { readonly epoch: string; readonly sequence: number };
  readonly stored: number;
  readonly frozen: boolean;
  readonly replicas: readonly {
    readonly replica_id: string;
    readonly subscribers: number;
    readonly behind: number;
  }[];
  readonly silent_replicas: readonly string[];
}

interface PresenceAnswer extends Cursor {
  readonly users: readonly { readonly user_id: string; readonly connections: number }[];
  readonly count: number;
  readonly partial: boolean;
}

interface HistoryAnswer {
  readonly messages: readonly StoredMessage[];
  readonly before: number | null;
}

export function TopicScreen({ topic }: { topic: string }) {
  const path = pathOf`/topics/${topic}`;
  const found = useResource<TopicAnswer>(path, 2000);
  const [from, setFrom] = useState('');
  const purge: Action = {
    title: 'Purge the log',
    method: 'DELETE',
    path: `${path}/history`,
    role: 'admin',
    word: 'purge',
    effect: async () => {
      const { stored, replicas } = await call<TopicAnswer>('GET', path);
      const subscribers = replicas.reduce((sum, one) => sum + one.subscribers, 0);
      return `About ${plural(stored, 'stored message')} of ${topic} are deleted. ${plural(subscribers, 'subscriber')} can no longer recover them.`;
    },
    done: ({ removed }: { removed: number }) => `${plural(removed, 'message')} deleted.`,
  };
  const freeze = (answer: TopicAnswer): Action => {
    const subscribers = answer.replicas.reduce((sum, one) => sum + one.subscribers, 0);
    const action = freezeAction(topic, !answer.frozen);
    return {
      ...action,
      effect: `${action.effect as string} It has ${plural(subscribers, 'subscriber')} on ${plural(answer.replicas.length, 'replica')}.`,
    };
  };
  return (
    <>
      <div class="head">
        <h1>
          Topic <Id of={topic} />
        </h1>
        <div class="actions">
          {found.answer !== undefined && <Act action={freeze(found.answer)} />}
          <Act action={traceAction({ topic })} />
          <Act action={purge} />
        </div>
      </div>
      <RatesOf by="topic" name={topic} />
      <div class="cols">
        <Panel title="State" of={found} aside={missing(found.answer?.silent_replicas)}>
          {(answer) => (
            <>
              <Facts
                of={[
                  [
                    'State',
                    <Badge
                      state={answer.frozen ? 'warning' : 'ok'}
                      word={answer.frozen ? 'frozen' : 'open'}
                    />,
                  ],
                  ['Subscribers', number(answer.replicas.reduce((sum, one) => sum + one.subscribers, 0))],
                  ['Position', number(answer.position.sequence)],
                  ['Epoch', <Id of={answer.position.epoch} />],
                  ['Stored messages', `about ${number(answer.stored)}`],
                ]}
              />
              <Table
                caption="Subscribers by replica"
                rows={answer.replicas}
                keyOf={({ replica_id: id }) => id}
                empty="Nobody is subscribed on any replica."
                columns={[
                  { head: 'Replica', cell: ({ replica_id: id }) => <Id of={id} /> },
                  { head: 'Subscribers', isNumber: true, cell: ({ subscribers }) => number(subscribers) },
                  { head: 'Catching up', isNumber: true, cell: ({ behind }) => number(behind) },
                ]}
              />
            </>
          )}
        </Panel>
        <List
          title="Presence"
          path={`${path}/presence`}
          fields={{ limit: '15' }}
          rows={(answer: PresenceAnswer) => answer.users}
          next={byCursor}
          keyOf={({ user_id: id }) => id}
          empty="Nobody is subscribed."
          aside={({ count, partial }) =>
            `${plural(count, 'user')}${partial ? ', not all replicas could be read' : ''}`
          }
          columns={[
            { head: 'User', cell: ({ user_id: id }) => <Id of={id} href={linkTo('user', id)} /> },
            { head: 'Connections', isNumber: true, cell: ({ connections }) => number(connections) },
          ]}
        />
      </div>
      <p>
        <a href={linkTo('connections', undefined, { topic })}>Connections that are subscribed</a>
      </p>
      {may('operator') && (
        <label class="filter">
          Messages until (your time)
          <input
            type="datetime-local"
            step="1"
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
          />
        </label>
      )}
      <Payloads
        path={`${path}/history`}
        until={from === '' ? undefined : new Date(from).getTime() + 999}
        rows={(answer: HistoryAnswer) => [...answer.messages].reverse()}
        next={({ before }: HistoryAnswer) =>
          before === null ? undefined : (['before', String(before)] as const)
        }
        title="Stored messages, the newest first"
        empty="The log of this topic is empty. A message is stored when a client publishes."
      />
    </>
  );
}

/** Starts a trace rule for a topic or a user. */
export function traceAction(subject: { topic: string } | { user: string }): Action {
  const name = 'topic' in subject ? `topic ${subject.topic}` : `user ${subject.user}`;
  return {
    title: 'Trace for 5 minutes',
    method: 'POST',
    path: '/trace-rules',
    body: { ...subject, for_secs: 300 },
    effect: async () => {
      const [by, of] = 'topic' in subject ? ['topic', subject.topic] : ['user', subject.user];
      const { talkers } = await call<TalkersAnswer>('GET', withQuery('/talkers', { by, name: of }));
      return `All messages of ${name} are traced for 5 minutes, now ${short(talkers[0]?.messages_per_sec ?? 0)} a second; the rule ends by itself. Payloads are not kept.`;
    },
    done: () => 'The rule is in force. The messages are listed under Messages.',
  };
}
