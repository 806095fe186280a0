import { call, pathOf } from '../api.js';
import { bytes, ms, number, plural } from '../format.js';
import { Act, type Action } from '../parts/action.js';
import { Filter, List } from '../parts/list.js';
import { RatesOf } from '../parts/rates.js';
import { Panel, useResource, type Resource } from '../parts/resource.js';
import { Facts, Table, type Column } from '../parts/table.js';
import { Ago, Id, Text } from '../parts/text.js';
import { go, linkTo } from '../router.js';
import { byCursor, missing, type Cursor } from './topics.js';

export interface Connection {
  readonly connection_id: string;
  readonly user_id: string;
  readonly session_id: string;
  readonly wire: string;
  readonly transport?: string;
  readonly address: string;
  readonly connected_at: number;
  readonly replica_id: string;
  readonly roles: readonly string[];
  readonly waiting_bytes: number;
  readonly topics: Readonly<Record<string, { readonly epoch: string; readonly sequence: number }>>;
}

export interface ConnectionsAnswer extends Cursor {
  readonly connections: readonly Connection[];
  readonly total: number;
}

const wires: Readonly<Record<string, string>> = { socketio: 'Socket.IO', json: '/ws' };

export const connectionColumns: readonly Column<Connection>[] = [
  { head: 'Connection', cell: ({ connection_id: id }) => <Id of={id} href={linkTo('connection', id)} /> },
  { head: 'User', cell: ({ user_id: id }) => <Id of={id} href={linkTo('user', id)} /> },
  { head: 'Wire', isExtra: true, cell: ({ wire }) => wires[wire] ?? wire },
  { head: 'Address', isExtra: true, cell: ({ address }) => <Id of={address} /> },
  { head: 'Replica', isExtra: true, cell: ({ replica_id: id }) => <Id of={id} /> },
  { head: 'Topics', isNumber: true, isExtra: true, cell: ({ topics }) => number(Object.keys(topics).length) },
  { head: 'Unread', isNumber: true, cell: ({ waiting_bytes: waiting }) => bytes(waiting) },
  { head: 'Connected', cell: ({ connected_at: at }) => <Ago at={at} /> },
];

export function Connections({ query }: { query: URLSearchParams }) {
  const user = query.get('user') ?? '';
  const topic = query.get('topic') ?? '';
  const filter = (change: { user?: string; topic?: string }) =>
    go(
      linkTo(
        'connections',
        undefined,
        Object.fromEntries(Object.entries({ user, topic, ...change }).filter(([, value]) => value !== '')),
      ),
    );
  return (
    <>
      <div class="head">
        <h1>Connections</h1>
        <Filter label="User" value={user} set={(value) => filter({ user: value })} />
        <Filter label="Topic" value={topic} set={(value) => filter({ topic: value })} />
      </div>
      <List
        title="Connections"
        path="/connections"
        fields={{ user: user || undefined, topic: topic || undefined, cursor: '' }}
        rows={(answer: ConnectionsAnswer) => answer.connections}
        next={byCursor}
        keyOf={({ connection_id: id }) => id}
        empty="No client is connected that fits."
        aside={({ total, silent_replicas: silent }) => (
          <>
            {plural(total, 'connection')} {missing(silent)}
          </>
        )}
        columns={connectionColumns}
      />
    </>
  );
}

export const disconnected = ({ disconnected: count }: { disconnected: number }): string =>
  `${plural(count, 'connection')} disconnected.`;

export function ConnectionScreen({ id }: { id: string }) {
  const path = pathOf`/connections/${id}`;
  const found = useResource<Connection>(path, 2000);
  const latency = useResource<{ round_trip_ms: number | null }>(`${path}/latency`, 10_000);
  const { answer } = found;
  const disconnect: Action = {
    title: 'Disconnect',
    method: 'POST',
    path: `${path}/disconnect`,
    effect: async () => {
      const { user_id: user, replica_id: replica, topics } = await call<Connection>('GET', path);
      return `1 connection of ${user} on replica ${replica}, with ${plural(Object.keys(topics).length, 'subscription')}, is closed. The client receives the reason, and may reconnect.`;
    },
    done: disconnected,
  };
  const unsubscribe = (topic: string): Action => ({
    title: 'Unsubscribe',
    method: 'POST',
    path: `${path}/unsubscribe`,
    body: { topics: [topic] },
    effect: `1 subscription of this connection ends, to ${topic}. The client receives a status event.`,
    done: ({ unsubscribed }: { unsubscribed: readonly string[] }) =>
      `${plural(unsubscribed.length, 'subscription')} ended.`,
  });
  return (
    <>
      <div class="head">
        <h1>
          Connection <Id of={id} />
        </h1>
        <div class="actions">
          {answer !== undefined && found.error === undefined && <Act action={disconnect} />}
        </div>
      </div>
      <RatesOf by="connection" name={id} />
      <Panel title="State" of={found}>
        {(one) => (
          <>
            <Facts
              of={[
                ['User', <Id of={one.user_id} href={linkTo('user', one.user_id)} />],
                ['Roles', <Text of={one.roles.join(', ') || 'none'} />],
                ['Replica', <Id of={one.replica_id} />],
                ['Wire', `${wires[one.wire] ?? one.wire}${one.transport === 'polling' ? ', polling' : ''}`],
                ['Latency, a round trip', <Latency of={latency} />],
                ['Address', <Id of={one.address} />],
                ['Connected', <Ago at={one.connected_at} />],
                ['Outbox, not read yet', bytes(one.waiting_bytes)],
                ['Session', <Id of={one.session_id} href={linkTo('session', one.session_id)} />],
              ]}
            />
            <Table
              caption="Subscriptions"
              rows={Object.entries(one.topics)}
              keyOf={([topic]) => topic}
              empty="It has no subscriptions."
              columns={[
                { head: 'Topic', cell: ([topic]) => <Id of={topic} href={linkTo('topic', topic)} /> },
                { head: 'Written to', isNumber: true, cell: ([, { sequence }]) => number(sequence) },
                { head: 'Epoch', isExtra: true, cell: ([, { epoch }]) => <Id of={epoch} /> },
                { head: 'Action', cell: ([topic]) => <Act quiet action={unsubscribe(topic)} /> },
              ]}
            />
          </>
        )}
      </Panel>
    </>
  );
}

function Latency({ of: { answer, error } }: { of: Resource<{ round_trip_ms: number | null }> }) {
  if (error !== undefined) return <Text of={error.message} />;
  if (answer === undefined) return <>…</>;
  return (
    <>{answer.round_trip_ms === null ? 'no answer within a second' : `${ms(answer.round_trip_ms)} ms`}</>
  );
}
