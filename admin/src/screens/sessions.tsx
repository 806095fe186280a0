import { pathOf } from '../api.js';
import { duration, number, plural } from '../format.js';
import { Act, type Action } from '../parts/action.js';
import { Filter, List } from '../parts/list.js';
import { Panel, useResource } from '../parts/resource.js';
import { Facts, Table } from '../parts/table.js';
import { Ago, Id } from '../parts/text.js';
import { go, linkTo } from '../router.js';
import { byCursor, type Cursor } from './topics.js';

interface Session {
  readonly id: string;
  readonly user_id: string;
  readonly topics: Readonly<Record<string, { readonly epoch: string; readonly sequence: number }>>;
  readonly topics_left_out?: number;
  readonly created_at: number;
  readonly updated_at: number;
  readonly owner?: string | null;
  readonly generation?: number;
  readonly expires_in_secs: number | null;
}

interface SessionsAnswer extends Cursor {
  readonly sessions: readonly Session[];
  readonly count?: number;
}

export function Sessions({ query }: { query: URLSearchParams }) {
  const user = query.get('user') ?? '';
  return (
    <>
      <div class="head">
        <h1>Sessions</h1>
        <Filter
          label="User"
          value={user}
          set={(value) => go(linkTo('sessions', undefined, value === '' ? {} : { user: value }))}
        />
      </div>
      <List
        title="Stored sessions, unordered"
        path="/sessions"
        fields={{ user_id: user || undefined }}
        rows={(answer: SessionsAnswer) => answer.sessions}
        next={byCursor}
        keyOf={({ id }) => id}
        empty="There is no session that fits. A client gets one when it connects."
        aside={({ count }) => count !== undefined && `about ${plural(count, 'session')} in all`}
        everyMs={15_000}
        columns={[
          { head: 'Session', cell: ({ id }) => <Id of={id} href={linkTo('session', id)} /> },
          { head: 'User', cell: ({ user_id: id }) => <Id of={id} href={linkTo('user', id)} /> },
          {
            head: 'Topics',
            isNumber: true,
            cell: ({ topics, topics_left_out: more = 0 }) => number(Object.keys(topics).length + more),
          },
          { head: 'Written', cell: ({ updated_at: at }) => <Ago at={at} /> },
          {
            head: 'Held by',
            isExtra: true,
            cell: ({ owner }) => (owner === null || owner === undefined ? 'nobody' : <Id of={owner} />),
          },
        ]}
      />
    </>
  );
}

export function SessionScreen({ id }: { id: string }) {
  const path = pathOf`/sessions/${id}`;
  const found = useResource<Session>(path, 5000);
  const remove = ({ user_id: user, topics }: Session): Action => ({
    title: 'Delete the session',
    method: 'DELETE',
    path,
    word: 'delete',
    effect: `1 session of ${user}, with ${plural(Object.keys(topics).length, 'subscription')}, is deleted: it can no longer be resumed. While its client is connected it is written again.`,
    done: () => 'The session is deleted.',
  });
  return (
    <>
      <div class="head">
        <h1>
          Session <Id of={id} />
        </h1>
        <div class="actions">{found.answer !== undefined && <Act action={remove(found.answer)} />}</div>
      </div>
      <Panel title="Stored" of={found}>
        {(one) => (
          <>
            <Facts
              of={[
                ['User', <Id of={one.user_id} href={linkTo('user', one.user_id)} />],
                ['Begun', <Ago at={one.created_at} />],
                ['Written', <Ago at={one.updated_at} />],
                ['Held by', one.owner === null || one.owner === undefined ? 'nobody' : <Id of={one.owner} />],
                ['Expires', one.expires_in_secs === null ? 'never' : `in ${duration(one.expires_in_secs)}`],
              ]}
            />
            <Table
              caption="Topics"
              rows={Object.entries(one.topics)}
              keyOf={([topic]) => topic}
              empty="It has no subscriptions."
              columns={[
                { head: 'Topic', cell: ([topic]) => <Id of={topic} href={linkTo('topic', topic)} /> },
                { head: 'Position', isNumber: true, cell: ([, { sequence }]) => number(sequence) },
              ]}
            />
          </>
        )}
      </Panel>
    </>
  );
}
