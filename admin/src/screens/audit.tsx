import { useState } from 'preact/hooks';
import { Choice, Filter, List } from '../parts/list.js';
import { Panel, useResource } from '../parts/resource.js';
import { Table } from '../parts/table.js';
import { Ago, Badge, Id, Text } from '../parts/text.js';
import type { Alert } from '../overview.js';

interface AuditAnswer {
  readonly records: readonly {
    readonly id: string;
    readonly at: number;
    readonly user_id: string;
    readonly address: string;
    readonly replica_id: string;
    readonly action: string;
    readonly request: unknown;
    readonly result: string;
    readonly count: number;
  }[];
  readonly before: string | null;
}

export function Audit() {
  const [user, setUser] = useState('');
  const [action, setAction] = useState('');
  const [result, setResult] = useState('');
  const alerts = useResource<{ alerts: readonly Alert[] }>('/alerts?limit=50', 10_000);
  return (
    <>
      <div class="head">
        <h1>Audit log</h1>
        <Filter label="By" value={user} set={setUser} />
        <Filter label="Action contains" value={action} set={setAction} />
        <Choice
          label="Result"
          value={result}
          set={setResult}
          of={{ '': 'all', ok: 'done', refused: 'refused' }}
        />
      </div>
      <List
        title="Changes, the newest first"
        path="/audit"
        fields={{ user: user || undefined, action: action || undefined, result: result || undefined }}
        rows={(answer: AuditAnswer) => answer.records}
        next={({ before }) => (before === null ? undefined : (['before', before] as const))}
        keyOf={({ id }) => id}
        empty="No record fits. Each change of an operator leaves one, also a refused one."
        columns={[
          { head: 'When', cell: ({ at }) => <Ago at={at} /> },
          {
            head: 'Result',
            cell: ({ result: code, count }) => (
              <Badge
                state={code === 'ok' ? 'ok' : 'warning'}
                word={count > 1 ? `${code}, ${count} times` : code}
              />
            ),
          },
          { head: 'By', cell: ({ user_id: id }) => <Id of={id} /> },
          {
            head: 'Action',
            cell: ({ action: done }) => (
              <code class="payload">
                <Text of={done} />
              </code>
            ),
          },
          {
            head: 'Request',
            cell: ({ request }) => (
              <code class="payload">
                <Text of={JSON.stringify(request)} />
              </code>
            ),
          },
          { head: 'From', isExtra: true, cell: ({ address }) => <Id of={address} /> },
        ]}
      />
      <Panel title="Alerts, the newest first" of={alerts}>
        {(answer) => (
          <Table
            caption="Alerts"
            rows={answer.alerts}
            keyOf={({ id }) => id}
            empty="No alert was raised."
            columns={[
              { head: 'When', cell: ({ at }) => <Ago at={at} /> },
              {
                head: 'Severity',
                cell: ({ severity }) => (
                  <Badge
                    state={severity === 'critical' ? 'critical' : severity === 'warning' ? 'warning' : 'info'}
                    word={severity}
                  />
                ),
              },
              { head: 'Kind', isExtra: true, cell: ({ kind }) => <Text of={kind} /> },
              { head: 'Alert', cell: ({ message }) => <Text of={message} /> },
              { head: 'Replica', isExtra: true, cell: ({ replica_id: id }) => <Id of={id} /> },
            ]}
          />
        )}
      </Panel>
    </>
  );
}
