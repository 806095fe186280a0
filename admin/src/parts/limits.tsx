import { call, pathOf, withQuery } from '../api.js';
import { number, plural } from '../format.js';
import { linkTo } from '../router.js';
import { Act, type Action } from './action.js';
import { Panel, useResource } from './resource.js';
import { Table } from './table.js';
import { Ago, Id, Text } from './text.js';

/** The answer of `GET /admin/user-limits`. */
export interface LimitsAnswer {
  readonly limits: readonly {
    readonly user_id: string;
    readonly commands_per_sec: number;
    readonly until: number;
    readonly by: string;
    readonly reason?: string;
  }[];
}

/** How many connections of a user it concerns. */
export async function connectionsOf(user: string): Promise<string> {
  const {
    total,
    connections,
    silent_replicas: silent,
  } = await call<{
    total: number;
    connections: readonly { readonly replica_id: string }[];
    silent_replicas: readonly string[];
  }>('GET', withQuery(pathOf`/users/${user}`, { limit: '1000' }));
  const replicas = new Set(connections.map(({ replica_id: id }) => id)).size;
  const unseen = silent.length > 0 ? ` (without ${silent.join(', ')}, which does not answer)` : '';
  return `${plural(total, 'connection')} of ${user} on ${plural(replicas, 'replica')}${unseen}`;
}

/** Limits one user for a time; `now`: the commands per second that the user sends. */
export function limitAction(user: string, now?: number): Action {
  return {
    title: 'Limit the user',
    method: 'PUT',
    path: pathOf`/users/${user}/limit`,
    fields: [
      {
        name: 'commands_per_sec',
        label: 'Commands per second, all connections together',
        value: 10,
        max: 1e6,
      },
      { name: 'for_secs', label: 'For so many minutes', value: 60, max: 10_080, times: 60 },
    ],
    effect: async () =>
      `What ${await connectionsOf(user)} send above this rate is refused with rate_limited${now === undefined ? '' : `; now it is ${number(now)} a second`}. The limit ends by itself.`,
    done: () => `The limit of ${user} is in force on all replicas.`,
  };
}

/** The limits of single users that are in force: of all users, or of one. */
export function UserLimits({ user }: { user?: string }) {
  const found = useResource<LimitsAnswer>('/user-limits', 5000);
  const end = (of: string): Action => ({
    title: 'End the limit',
    method: 'DELETE',
    path: pathOf`/users/${of}/limit`,
    effect: async () => `For ${await connectionsOf(of)} the limits of the settings apply again.`,
    done: () => `${of} has no limit of its own any more.`,
  });
  return (
    <Panel title={user === undefined ? 'Limits of single users' : 'Limit of this user'} of={found}>
      {({ limits }) => (
        <Table
          caption="Limits of single users"
          rows={limits.filter(({ user_id: id }) => user === undefined || id === user)}
          keyOf={({ user_id: id }) => id}
          empty="There is none: the limits of the settings apply."
          columns={[
            { head: 'User', cell: ({ user_id: id }) => <Id of={id} href={linkTo('user', id)} /> },
            { head: 'Commands/s', isNumber: true, cell: ({ commands_per_sec: rate }) => number(rate) },
            { head: 'Ends', cell: ({ until }) => <Ago at={until} /> },
            { head: 'By', isExtra: true, cell: ({ by }) => <Id of={by} /> },
            { head: 'Reason', isExtra: true, cell: ({ reason = '–' }) => <Text of={reason} /> },
            { head: 'Action', cell: ({ user_id: id }) => <Act quiet action={end(id)} /> },
          ]}
        />
      )}
    </Panel>
  );
}
