import { pathOf, withQuery } from '../api.js';
import { linkTo } from '../router.js';
import { Panel, useResource } from './resource.js';
import { Table } from './table.js';
import { Ago, Badge, Id, Text } from './text.js';

interface Finding {
  readonly outcome: string;
  readonly replica_id?: string;
  readonly connection_id?: string;
  readonly session_id?: string;
  readonly delivered_at?: number;
  readonly acknowledged_at?: number;
  readonly acknowledged_by?: number;
  readonly paused_from?: number;
  readonly offline_since?: number;
  readonly reason?: string;
}

/** The answer of `GET /admin/messages/:id/recipients/:user`. */
interface RecipientAnswer extends Finding {
  readonly topic: string | null;
  readonly published_at: number;
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  readonly silent_replicas: readonly string[];
}

const meanings: Readonly<Record<string, string>> = {
  acknowledged: 'got it, and acknowledged it.',
  delivered: 'was sent it. Whether it was received is not known.',
  paused: 'does not have it yet: the client reads too slowly.',
  queued: 'does not have it yet: it is on its way.',
  dropped: 'did not get it: it was dropped on the way.',
  offline: 'did not get it: no client was connected.',
  forbidden: 'did not get it: the user may not subscribe to the topic.',
  not_subscribed: 'did not get it: no client was subscribed.',
  not_addressed: 'did not get it: it was for somebody else.',
  not_stored: 'did not get it: it was never stored.',
  unknown: 'may or may not have got it.',
};

const stateOf = (outcome: string) =>
  outcome === 'acknowledged' || outcome === 'delivered'
    ? 'ok'
    : outcome === 'unknown'
      ? 'info'
      : outcome === 'dropped'
        ? 'critical'
        : 'warning';

const Outcome = ({ of }: { of: string }) => <Badge state={stateOf(of)} word={of.replaceAll('_', ' ')} />;

/** Whether a user got a message, and why not. */
export function Recipient({ id, user, topic }: { id: string; user: string; topic: string | undefined }) {
  const found = useResource<RecipientAnswer>(
    withQuery(pathOf`/messages/${id}/recipients/${user}`, { topic }),
    5000,
  );
  return (
    <Panel title="Did this user get it?" of={found}>
      {(answer) => (
        <>
          <p class="note">
            <Outcome of={answer.outcome} /> <Id of={user} href={linkTo('user', user)} />{' '}
            {meanings[answer.outcome]} {answer.reason !== undefined && <Text of={`${answer.reason}.`} />}
            {!answer.complete && ' The user may have had connections of which nothing is known any more.'}
            {answer.silent_replicas.length > 0 && ` Without ${answer.silent_replicas.join(', ')}.`}
          </p>
          <Table
            caption="What became of it on each connection"
            rows={answer.findings.map((finding, i) => ({ ...finding, i }))}
            keyOf={({ i }) => String(i)}
            empty="No connection or session of the user is known that could have had it."
            columns={[
              { head: 'Outcome', cell: ({ outcome }) => <Outcome of={outcome} /> },
              {
                head: 'Connection or session',
                cell: ({ connection_id: connection, session_id: session }) =>
                  connection !== undefined ? (
                    <Id of={connection} href={linkTo('connection', connection)} />
                  ) : session !== undefined ? (
                    <Id of={session} href={linkTo('session', session)} />
                  ) : (
                    '–'
                  ),
              },
              { head: 'Replica', isExtra: true, cell: ({ replica_id: name = '–' }) => <Id of={name} /> },
              {
                head: 'When',
                cell: (one) => (
                  <Ago
                    at={
                      one.acknowledged_at ??
                      one.acknowledged_by ??
                      one.delivered_at ??
                      one.paused_from ??
                      one.offline_since
                    }
                  />
                ),
              },
              { head: 'Why', isExtra: true, cell: ({ reason = '–' }) => <Text of={reason} /> },
            ]}
          />
        </>
      )}
    </Panel>
  );
}
