import { useState } from 'preact/hooks';
import { call, pathOf } from '../api.js';
import { bytes, number, plural } from '../format.js';
import { Act, type Action } from '../parts/action.js';
import { Choice, Filter, List } from '../parts/list.js';
import { connectionsOf, limitAction, UserLimits } from '../parts/limits.js';
import { Payloads, type StoredMessage } from '../parts/payloads.js';
import { RatesOf } from '../parts/rates.js';
import { Panel, useResource } from '../parts/resource.js';
import { Facts, Table } from '../parts/table.js';
import { Ago, Id, Text } from '../parts/text.js';
import { linkTo } from '../router.js';
import { may } from '../session.js';
import { connectionColumns, disconnected, type ConnectionsAnswer } from './connections.js';
import { byCursor, missing, traceAction, type Cursor } from './topics.js';

interface UsersAnswer extends Cursor {
  readonly users: readonly {
    readonly user_id: string;
    readonly connections: number;
    readonly replicas: readonly string[];
  }[];
  readonly total: number;
}

export function Users() {
  const [prefix, setPrefix] = useState('');
  const [order, setOrder] = useState('connections');
  return (
    <>
      <div class="head">
        <h1>Users</h1>
        <Filter label="Begins with" value={prefix} set={setPrefix} />
        <Choice
          label="Sorted by"
          value={order}
          set={setOrder}
          of={{ connections: 'connections (first 50)', name: 'name (all, in pages)' }}
        />
      </div>
      <List
        title="Connected users"
        path="/users"
        fields={{ prefix: prefix || undefined, cursor: order === 'name' ? '' : undefined }}
        rows={(answer: UsersAnswer) => answer.users}
        next={byCursor}
        keyOf={({ user_id: id }) => id}
        aside={({ total, silent_replicas: silent }) => (
          <>
            {plural(total, 'user')} {missing(silent)}
          </>
        )}
        empty="No user is connected that fits. One who is offline can be opened by name, with the search."
        columns={[
          { head: 'User', cell: ({ user_id: id }) => <Id of={id} href={linkTo('user', id)} /> },
          { head: 'Connections', isNumber: true, cell: ({ connections }) => number(connections) },
          { head: 'Replicas', cell: ({ replicas }) => replicas.join(', ') },
        ]}
      />
    </>
  );
}

/** The answer of `GET /admin/users/:id/inbox/size`. */
interface SizeAnswer {
  readonly messages: number;
  readonly bytes: number;
  readonly oldest_at: number | null;
}

interface InboxAnswer {
  readonly messages: readonly StoredMessage[];
  readonly next: number | null;
}

export function UserScreen({ user }: { user: string }) {
  const path = pathOf`/users/${user}`;
  const size = useResource<SizeAnswer>(`${path}/inbox/size`, 10_000);
  const disconnect: Action = {
    title: 'Disconnect',
    method: 'POST',
    path: `${path}/disconnect`,
    effect: async () =>
      `Disconnect ${await connectionsOf(user)}. The user may reconnect; to prevent that, revoke the tokens.`,
    done: disconnected,
  };
  const revoke: Action = {
    title: 'Revoke tokens',
    method: 'POST',
    path: `${path}/revoke-tokens`,
    role: 'admin',
    word: 'revoke',
    effect: async () =>
      `All tokens that ${user} was issued up to now are revoked, and ${await connectionsOf(user)} are closed.`,
    done: () => 'The tokens are revoked.',
  };
  const empty: Action = {
    title: 'Empty the inbox',
    method: 'DELETE',
    path: `${path}/inbox`,
    role: 'admin',
    word: 'empty',
    effect: async () => {
      const { messages } = await call<SizeAnswer>('GET', `${path}/inbox/size`);
      return `${plural(messages, 'direct message')} that ${user} has not acknowledged are deleted.`;
    },
    done: ({ removed }: { removed: number }) => `${plural(removed, 'message')} deleted.`,
  };
  return (
    <>
      <div class="head">
        <h1>
          User <Id of={user} />
        </h1>
        <div class="actions">
          <Act action={disconnect} />
          <Act action={limitAction(user)} />
          <Act action={traceAction({ user })} />
          <Act action={empty} />
          <Act action={revoke} />
        </div>
      </div>
      <RatesOf by="user" name={user} />
      <div class="cols">
        <UserLimits user={user} />
        <Panel title="Inbox" of={size}>
          {({ messages, bytes: waiting, oldest_at: oldest }) => (
            <Facts
              of={[
                ['Direct messages that wait', number(messages)],
                ['Size', bytes(waiting)],
                ['The oldest', <Ago at={oldest} />],
              ]}
            />
          )}
        </Panel>
      </div>
      <List
        title="Connections"
        path={path}
        fields={{ cursor: '' }}
        rows={(answer: ConnectionsAnswer) => answer.connections}
        next={byCursor}
        keyOf={({ connection_id: id }) => id}
        empty="The user is not connected."
        aside={({ total, silent_replicas: silent }) => (
          <>
            {plural(total, 'connection')} {missing(silent)}
          </>
        )}
        columns={connectionColumns}
        everyMs={2000}
      />
      <Refusals path={path} />
      {may('operator') && (
        <Payloads
          title="Inbox, the oldest first"
          path={`${path}/inbox`}
          rows={(answer: InboxAnswer) => answer.messages}
          next={({ next }: InboxAnswer) => (next === null ? undefined : (['after', String(next)] as const))}
          empty="No direct message waits for this user."
        />
      )}
      <p>
        <a href={linkTo('sessions', undefined, { user })}>Stored sessions of this user</a> ·{' '}
        <a href={linkTo('messages', undefined, { user })}>Traced messages from or to this user</a> ·{' '}
        <a href={linkTo('messages', undefined, { user, failed: 'true' })}>those that were refused</a>
      </p>
    </>
  );
}

interface RefusalsAnswer {
  readonly refusals: readonly {
    readonly at: number;
    readonly count: number;
    readonly command: string;
    readonly code: string;
    readonly topic?: string;
    readonly connection_id: string;
    readonly replica_id: string;
  }[];
  readonly silent_replicas: readonly string[];
}

/** Why the client of a user does not get on. */
function Refusals({ path }: { path: string }) {
  const found = useResource<RefusalsAnswer>(`${path}/refusals`, 5000);
  return (
    <Panel title="Recent refusals" of={found} aside={missing(found.answer?.silent_replicas)}>
      {({ refusals }) => (
        <Table
          caption="Refused commands of this user, the newest first"
          rows={refusals}
          keyOf={(one) => `${one.replica_id} ${one.connection_id} ${one.at} ${one.command} ${one.topic}`}
          empty="No command of this user was refused lately."
          columns={[
            { head: 'When', cell: ({ at }) => <Ago at={at} /> },
            { head: 'Code', cell: ({ code }) => <code>{code}</code> },
            { head: 'Command', cell: ({ command }) => <Text of={command} max={60} /> },
            {
              head: 'Topic',
              cell: ({ topic }) =>
                topic === undefined ? '–' : <Id of={topic} href={linkTo('topic', topic)} />,
            },
            { head: 'Times', isNumber: true, cell: ({ count }) => number(count) },
            { head: 'Connection', isExtra: true, cell: ({ connection_id: id }) => <Id of={id} /> },
            { head: 'Replica', isExtra: true, cell: ({ replica_id: id }) => <Id of={id} /> },
          ]}
        />
      )}
    </Panel>
  );
}
