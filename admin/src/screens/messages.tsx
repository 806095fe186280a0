import { pathOf } from '../api.js';
import { exact, ms, plural } from '../format.js';
import { Act } from '../parts/action.js';
import { Choice, Filter, List } from '../parts/list.js';
import { Recipient } from '../parts/recipient.js';
import { Panel, useResource } from '../parts/resource.js';
import { Facts, Table } from '../parts/table.js';
import { Ago, Badge, Id, Text } from '../parts/text.js';
import { go, linkTo } from '../router.js';
import { byCursor, missing, type Cursor } from './topics.js';

interface TracesAnswer extends Cursor {
  readonly messages: readonly {
    readonly message_id: string;
    readonly at: number;
    readonly replica_id: string;
    readonly stage: string;
    readonly user_id: string;
    readonly topic?: string;
    readonly to?: string;
    readonly code?: string;
  }[];
}

interface RulesAnswer {
  readonly rules: readonly {
    readonly topic?: string;
    readonly user?: string;
    readonly until: number;
    readonly by: string;
    readonly reason?: string;
  }[];
}

export function Messages({ query }: { query: URLSearchParams }) {
  const topic = query.get('topic') ?? '';
  const user = query.get('user') ?? '';
  const failed = query.get('failed') ?? '';
  const filter = (change: { topic?: string; user?: string; failed?: string }) =>
    go(
      linkTo(
        'messages',
        undefined,
        Object.fromEntries(
          Object.entries({ topic, user, failed, ...change }).filter(([, value]) => value !== ''),
        ),
      ),
    );
  const rules = useResource<RulesAnswer>('/trace-rules', 5000);
  return (
    <>
      <div class="head">
        <h1>Messages</h1>
        <Filter label="Topic" value={topic} set={(value) => filter({ topic: value, user: '' })} />
        <Filter label="User" value={user} set={(value) => filter({ user: value, topic: '' })} />
        <Choice
          label="Outcome"
          value={failed}
          set={(value) => filter({ failed: value })}
          of={{ '': 'all', true: 'failed', false: 'not failed' }}
        />
      </div>
      <List
        title="Traced messages, the newest first"
        path="/traces"
        fields={{ topic: topic || undefined, user: user || undefined, failed: failed || undefined }}
        rows={(answer: TracesAnswer) => answer.messages}
        next={byCursor}
        keyOf={({ message_id: id }) => id}
        empty="No message was traced that fits. Publish with trace: true, or trace a topic or a user for a while."
        aside={({ silent_replicas: silent }) => missing(silent)}
        columns={[
          { head: 'Message', cell: ({ message_id: id }) => <Id of={id} href={linkTo('message', id)} /> },
          { head: 'Received', cell: ({ at }) => <Ago at={at} /> },
          { head: 'Sender', cell: ({ user_id: id }) => <Id of={id} href={linkTo('user', id)} /> },
          {
            head: 'To',
            cell: (one) =>
              one.topic !== undefined ? (
                <Id of={one.topic} href={linkTo('topic', one.topic)} />
              ) : one.to !== undefined ? (
                <Id of={one.to} href={linkTo('user', one.to)} />
              ) : (
                '–'
              ),
          },
          { head: 'Replica', isExtra: true, cell: ({ replica_id: id }) => <Id of={id} /> },
          { head: 'Stage', cell: ({ stage, code }) => <Stage of={stage} code={code} /> },
        ]}
      />
      <Panel title="Trace rules in force" of={rules}>
        {({ rules: all }) => (
          <Table
            caption="Trace rules in force"
            rows={all}
            keyOf={(rule) => JSON.stringify([rule.topic, rule.user])}
            empty="There are none. A rule is made on the screen of a topic or a user."
            columns={[
              {
                head: 'Of',
                cell: (rule) =>
                  rule.topic !== undefined ? (
                    <>
                      topic <Id of={rule.topic} href={linkTo('topic', rule.topic)} />
                    </>
                  ) : (
                    <>
                      user <Id of={rule.user ?? ''} href={linkTo('user', rule.user)} />
                    </>
                  ),
              },
              { head: 'Ends', cell: ({ until }) => <Ago at={until} /> },
              { head: 'By', cell: ({ by }) => <Id of={by} /> },
              {
                head: 'Action',
                cell: (rule) => (
                  <Act
                    quiet
                    action={{
                      title: 'End',
                      method: 'DELETE',
                      path: `/trace-rules?${new URLSearchParams(rule.topic !== undefined ? { topic: rule.topic } : { user: rule.user ?? '' }).toString()}`,
                      effect: '1 trace rule ends. What was traced is kept.',
                      done: ({ rules: left }: RulesAnswer) => `${plural(left.length, 'rule')} left.`,
                    }}
                  />
                ),
              },
            ]}
          />
        )}
      </Panel>
    </>
  );
}

function Stage({ of, code }: { of: string; code?: string | undefined }) {
  return (
    <Badge
      state={of === 'Failed' ? 'critical' : of === 'Delivered' ? 'ok' : 'info'}
      word={code === undefined ? of : `${of}: ${code}`}
    />
  );
}

interface TraceEvent {
  readonly stage: string;
  readonly at: number;
  readonly replica_id: string;
  readonly details: Readonly<Record<string, unknown>>;
}

interface TraceAnswer {
  readonly message_id: string;
  readonly events: readonly TraceEvent[];
  readonly silent_replicas: readonly string[];
}

export function MessageScreen({ id, query }: { id: string; query: URLSearchParams }) {
  const trace = useResource<TraceAnswer>(pathOf`/messages/${id}/trace`, 5000);
  const user = query.get('user') ?? '';
  const topic = query.get('topic') ?? '';
  const ask = (change: Readonly<Record<string, string>>) =>
    go(linkTo('message', id, { user, topic, ...change }));
  return (
    <>
      <div class="head">
        <h1>
          Message <Id of={id} />
        </h1>
        <Filter label="Did this user get it?" value={user} set={(value) => ask({ user: value })} />
        <Filter label="Topic, if it was not traced" value={topic} set={(value) => ask({ topic: value })} />
      </div>
      {user !== '' && <Recipient key={user} id={id} user={user} topic={topic || undefined} />}
      <Panel title="Trace" of={trace} aside={missing(trace.answer?.silent_replicas)}>
        {({ events }) => <Trace events={events} />}
      </Panel>
    </>
  );
}

/** The way of a message as a timeline, one line for each replica. */
function Trace({ events }: { events: readonly TraceEvent[] }) {
  const first = events[0];
  const last = events.at(-1);
  if (first === undefined || last === undefined)
    return <p class="note">No replica that answers has an event of it.</p>;
  const spanMs = Math.max(0.001, last.at - first.at);
  const replicas = [...new Set(events.map(({ replica_id: replica }) => replica))];
  const start = first.details as { topic?: string; to?: string; user_id?: string };
  const deliveries = events.filter(({ stage }) => stage === 'Delivered');
  const failure = events.find(({ stage }) => stage === 'Failed');
  const count = (field: string) =>
    deliveries.reduce(
      (sum, { details }) => sum + (typeof details[field] === 'number' ? details[field] : 0),
      0,
    );
  const outcome =
    failure !== undefined
      ? `It failed on ${failure.replica_id} with ${String(failure.details['code'] ?? 'an error')}.`
      : deliveries.length === 0
        ? 'No replica has delivered it, so far as traces are kept.'
        : `Delivered on ${plural(new Set(deliveries.map(({ replica_id: replica }) => replica)).size, 'replica')}${count('connections') > 0 ? ` to ${plural(count('connections'), 'connection')}` : ''}, ${ms(last.at - first.at)} ms after it was received.`;
  return (
    <>
      <p class="note">
        <Text of={outcome} />
      </p>
      <Facts
        of={[
          ['Received', exact(first.at)],
          start.user_id !== undefined && [
            'Sender',
            <Id of={start.user_id} href={linkTo('user', start.user_id)} />,
          ],
          start.topic !== undefined && ['Topic', <Id of={start.topic} href={linkTo('topic', start.topic)} />],
          start.to !== undefined && ['To', <Id of={start.to} href={linkTo('user', start.to)} />],
        ]}
      />
      <div class="timeline" role="img" aria-label={`Timeline: ${outcome} The table below lists each stage.`}>
        {replicas.map((replica) => (
          <div class="lane" key={replica}>
            <Id of={replica} />
            <div class="track">
              {events
                .filter((event) => event.replica_id === replica)
                .map((event, i) => (
                  <span
                    key={i}
                    class={`stop ${event.stage === 'Failed' ? 'critical' : ''}`}
                    style={{ '--at': `${((event.at - first.at) / spanMs) * 100}%` }}
                    title={`${event.stage}, +${ms(event.at - first.at)} ms`}
                  />
                ))}
            </div>
          </div>
        ))}
      </div>
      <Table
        caption="Stages"
        rows={events.map((event, i) => ({
          ...event,
          i,
          sinceMs: i === 0 ? 0 : event.at - events[i - 1]!.at,
        }))}
        keyOf={({ i }) => String(i)}
        empty=""
        columns={[
          {
            head: 'Stage',
            cell: ({ stage, details }) => (
              <Stage of={stage} code={typeof details['code'] === 'string' ? details['code'] : undefined} />
            ),
          },
          { head: 'Replica', cell: ({ replica_id: replica }) => <Id of={replica} /> },
          { head: 'After', isNumber: true, cell: ({ at }) => `+${ms(at - first.at)} ms` },
          { head: 'Step', isNumber: true, isExtra: true, cell: ({ sinceMs }) => `${ms(sinceMs)} ms` },
          {
            head: 'Details',
            cell: ({ details }) => (
              <code class="payload">
                <Text of={JSON.stringify(details)} max={500} />
              </code>
            ),
          },
        ]}
      />
    </>
  );
}
