import { useState } from 'preact/hooks';
import { withQuery } from '../api.js';
import { bytes, number, short } from '../format.js';
import { Choice } from '../parts/list.js';
import { limitAction, UserLimits } from '../parts/limits.js';
import type { Talker, TalkersAnswer } from '../parts/rates.js';
import { Act } from '../parts/action.js';
import { Panel, useResource } from '../parts/resource.js';
import { Table, type Column } from '../parts/table.js';
import { Id } from '../parts/text.js';
import { linkTo } from '../router.js';
import { missing } from './topics.js';

const kinds = { user: 'users', connection: 'connections', topic: 'topics' } as const;
const sorts = { commands: 'commands', messages: 'messages', bytes: 'bytes', refused: 'refusals' } as const;

/** Who sends the most, and limits of single users. */
export function Talkers() {
  const [by, setBy] = useState('user');
  const [sort, setSort] = useState('commands');
  const found = useResource<TalkersAnswer>(withQuery('/talkers', { by, sort, limit: '50' }), 2000);
  // A phone has room for the one that was asked for.
  const figure = (of: keyof typeof sorts) => ({ isNumber: true, isExtra: sort !== of });
  const columns: readonly (Column<Talker> | false)[] = [
    { head: 'Name', cell: ({ name }) => <Id of={name} href={linkTo(by, name)} /> },
    by === 'connection' && {
      head: 'User',
      cell: ({ user_id: id = '' }) => <Id of={id} href={linkTo('user', id)} />,
    },
    { ...figure('commands'), head: 'Commands/s', cell: (one) => short(one.commands_per_sec) },
    { ...figure('messages'), head: 'Messages/s', cell: (one) => short(one.messages_per_sec) },
    { ...figure('bytes'), head: 'Bytes/s', cell: (one) => bytes(Math.round(one.bytes_per_sec)) },
    { ...figure('refused'), head: 'Refused/s', cell: (one) => short(one.refused_per_sec) },
    { head: 'Replicas', isExtra: true, cell: ({ replicas }) => replicas.join(', ') },
    by !== 'topic' && {
      head: 'Action',
      cell: ({ name, user_id: user, commands_per_sec: now }) => (
        <Act quiet action={user === undefined ? limitAction(name, now) : limitAction(user)} />
      ),
    },
  ];
  return (
    <>
      <div class="head">
        <h1>Top talkers</h1>
        <Choice label="By" value={by} set={setBy} of={kinds} />
        <Choice label="With the most" value={sort} set={setSort} of={sorts} />
      </div>
      <Panel title="In the last one or two seconds" of={found} aside={missing(found.answer?.silent_replicas)}>
        {({ talkers }) => (
          <Table
            caption={`Those of the ${kinds[by as keyof typeof kinds]} that send the most`}
            rows={talkers}
            keyOf={({ name }) => name}
            empty="Nobody sends. Whoever runs commands or publishes appears within two seconds."
            columns={columns.filter((column) => column !== false)}
          />
        )}
      </Panel>
      <UserLimits />
      <Inboxes />
    </>
  );
}

/** Users for whom many direct messages wait. */
function Inboxes() {
  const found = useResource<InboxesAnswer>('/inboxes', 5000);
  return (
    <Panel title="Fullest inboxes" of={found} aside={missing(found.answer?.silent_replicas)}>
      {({ inboxes, limit_messages: messages, limit_bytes: most }) => (
        <Table
          caption={`Direct messages that wait for their users; an inbox holds ${number(messages)} of them, or ${bytes(most)}`}
          rows={inboxes}
          keyOf={({ user_id: user }) => user}
          empty="No direct message waits that was sent since the replicas have started."
          columns={[
            { head: 'User', cell: ({ user_id: user }) => <Id of={user} href={linkTo('user', user)} /> },
            { head: 'Messages', isNumber: true, cell: (one) => number(one.messages) },
            { head: 'Bytes', isNumber: true, cell: (one) => bytes(one.bytes) },
            { head: 'Full', isNumber: true, cell: (one) => `${short(one.filled_percent)} %` },
          ]}
        />
      )}
    </Panel>
  );
}

interface InboxesAnswer {
  readonly inboxes: readonly {
    readonly user_id: string;
    readonly messages: number;
    readonly bytes: number;
    readonly filled_percent: number;
  }[];
  readonly limit_messages: number;
  readonly limit_bytes: number;
  readonly silent_replicas: readonly string[];
}
