import { plural } from '../format.js';
import { withQuery } from '../api.js';
import { Panel, useResource } from '../parts/resource.js';
import { Table } from '../parts/table.js';
import { Badge, Id, Text } from '../parts/text.js';
import { linkTo } from '../router.js';
import { missing } from './topics.js';

interface SearchAnswer {
  readonly topics: readonly { readonly topic: string; readonly subscribers: number }[];
  readonly users: readonly { readonly user_id: string; readonly connections: number }[];
  readonly connections: readonly {
    readonly connection_id: string;
    readonly user_id: string;
    readonly replica_id: string;
  }[];
  readonly messages: readonly { readonly message_id: string; readonly stage: string; readonly at: number }[];
  readonly silent_replicas: readonly string[];
}

/** What is found, as rows of one table. */
function rowsOf({ topics, users, connections, messages }: SearchAnswer) {
  return [
    ...messages.map(({ message_id: id, stage }) => ({
      kind: 'message',
      id,
      href: linkTo('message', id),
      about: `last stage ${stage}`,
    })),
    ...connections.map(({ connection_id: id, user_id: user, replica_id: replica }) => ({
      kind: 'connection',
      id,
      href: linkTo('connection', id),
      about: `of ${user} on ${replica}`,
    })),
    ...topics.map(({ topic, subscribers }) => ({
      kind: 'topic',
      id: topic,
      href: linkTo('topic', topic),
      about: plural(subscribers, 'subscriber'),
    })),
    ...users.map(({ user_id: id, connections: count }) => ({
      kind: 'user',
      id,
      href: linkTo('user', id),
      about: plural(count, 'connection'),
    })),
  ];
}

export function SearchResults({ text }: { text: string }) {
  const found = useResource<SearchAnswer>(withQuery('/search', { q: text }), 0);
  return (
    <>
      <div class="head">
        <h1>
          Search for <Id of={text} />
        </h1>
      </div>
      <Panel title="Found" of={found} aside={missing(found.answer?.silent_replicas)}>
        {(answer) => (
          <Table
            caption="Found"
            rows={rowsOf(answer)}
            keyOf={({ kind, id }) => `${kind} ${id}`}
            empty="No active topic, connected user, connection or traced message has this name."
            columns={[
              { head: 'What', cell: ({ kind }) => <Badge state="info" word={kind} /> },
              { head: 'Name', cell: ({ id, href }) => <Id of={id} href={href} /> },
              { head: 'About', cell: ({ about }) => <Text of={about} /> },
            ]}
          />
        )}
      </Panel>
      <p>
        Not active now, or not traced? Open it by its whole name: <a href={linkTo('topic', text)}>topic</a> ·{' '}
        <a href={linkTo('user', text)}>user</a> · <a href={linkTo('message', text)}>message</a> ·{' '}
        <a href={linkTo('session', text)}>session</a>
      </p>
    </>
  );
}
