import { useState } from 'preact/hooks';
import { pathOf } from '../api.js';
import { number, plural } from '../format.js';
import { overview } from '../live.js';
import { Act, type Action } from '../parts/action.js';
import { Panel, useResource } from '../parts/resource.js';
import { connectionsAction, everybody, modeAction, presenceAction, Switches } from '../parts/switches.js';
import { Table } from '../parts/table.js';
import { Badge, Id, Text } from '../parts/text.js';
import { may } from '../session.js';

export function Settings() {
  const all = overview.value;
  return (
    <>
      <div class="head">
        <h1>Settings</h1>
      </div>
      {all !== undefined && (
        <>
          <Switches control={all.control} />
          {may('operator') && (
            <section class="card" aria-label="Switches">
              <h2>Switches, for all replicas at once</h2>
              <div class="actions pad">
                {(['read_only', 'maintenance'] as const).map(
                  (mode) => all.control.mode !== mode && <Act key={mode} action={modeAction(mode)} />,
                )}
                {all.control.accepts_connections && <Act action={connectionsAction(false)} />}
                {all.control.presence === 'on' && <Act action={presenceAction(false)} />}
              </div>
            </section>
          )}
          <Drains />
        </>
      )}
      <Limits />
      <LogFilter />
      <InForce />
    </>
  );
}

function Drains() {
  const rows = overview.value?.replicas ?? [];
  const drain = (name: string, clients: number): Action => ({
    title: 'Drain',
    method: 'POST',
    path: pathOf`/replicas/${name}/drain`,
    role: 'admin',
    word: name,
    effect: `${plural(clients, 'client')} of ${name} are moved to ${plural(rows.length - 1, 'other replica')}, then its process ends.`,
    done: ({ clients: moved, ends_within_secs: secs }: { clients: number; ends_within_secs: number }) =>
      `It drains: ${plural(moved, 'client')}, within ${number(secs)} s.`,
  });
  return (
    <section class="card" aria-label="Replicas">
      <h2>Replicas</h2>
      <Table
        caption="Replicas"
        rows={rows}
        keyOf={({ replica_id: id }) => id}
        empty="No replica answers."
        columns={[
          { head: 'Replica', cell: ({ replica_id: id }) => <Id of={id} /> },
          { head: 'Version', isExtra: true, cell: ({ version }) => version },
          {
            head: 'Phase',
            cell: ({ phase }) => <Badge state={phase === 'running' ? 'ok' : 'warning'} word={phase} />,
          },
          { head: 'Connections', isNumber: true, cell: ({ connections }) => number(connections) },
          {
            head: 'Action',
            cell: ({ replica_id: id, connections }) => <Act quiet action={drain(id, connections)} />,
          },
        ]}
      />
    </section>
  );
}

function Limits() {
  const limits = useResource<{ connection_rps: number; user_rps: number }>('/config/rate-limits', 5000);
  const [given, give] = useState({ connection_rps: '', user_rps: '' });
  const fields = {
    connection_rps: 'Commands per second of a connection',
    user_rps: 'Commands per second of a user',
  } as const;
  const body = Object.fromEntries(
    Object.entries(given)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, Number(value)]),
  );
  const set: Action = {
    title: 'Set rate limits',
    method: 'PUT',
    path: '/config/rate-limits',
    body,
    effect: () =>
      Promise.resolve(
        `New limits for ${everybody()}: ${JSON.stringify(body)}. 0 is no limit. Commands above them are refused with rate_limited.`,
      ),
    done: () => 'The limits are in force on all replicas.',
  };
  return (
    <Panel title="Rate limits in force" of={limits}>
      {(now) => (
        <div class="actions pad">
          {(['connection_rps', 'user_rps'] as const).map((name) => (
            <label key={name} class="filter">
              {fields[name]}: {now[name] === 0 ? 'no limit' : number(now[name])}
              {may('operator') && (
                <input
                  type="number"
                  min={0}
                  max={1_000_000}
                  placeholder="unchanged"
                  value={given[name]}
                  onInput={(event) => give({ ...given, [name]: event.currentTarget.value })}
                />
              )}
            </label>
          ))}
          {Object.keys(body).length > 0 && <Act action={set} />}
        </div>
      )}
    </Panel>
  );
}

function LogFilter() {
  const filter = useResource<{ filter: string }>('/config/log', 5000);
  const [given, give] = useState('');
  const done = ({ filter: now }: { filter: string }) => `The filter is ${now} now.`;
  const replicas = plural(overview.value?.replicas.length ?? 0, 'replica');
  return (
    <Panel title="Log filter in force" of={filter}>
      {(now) => (
        <div class="actions pad">
          <label class="filter">
            <code>
              <Text of={now.filter} max={2000} />
            </code>
            {may('operator') && (
              <input
                maxLength={2000}
                placeholder="routing=debug,info"
                value={given}
                onInput={(event) => give(event.currentTarget.value)}
              />
            )}
          </label>
          {given !== '' && (
            <Act
              action={{
                title: 'Set the log filter',
                method: 'PUT',
                path: '/config/log',
                body: { filter: given },
                effect: `The log of ${replicas} shows ${given}.`,
                done,
              }}
            />
          )}
          <Act
            action={{
              title: 'Filter of the settings',
              method: 'DELETE',
              path: '/config/log',
              effect: `The log of ${replicas} shows what the settings say.`,
              done,
            }}
          />
        </div>
      )}
    </Panel>
  );
}

function InForce() {
  const settings = useResource<Readonly<Record<string, unknown>>>('/config');
  return (
    <Panel title="Settings of the replica that serves this page" of={settings} aside="without secrets">
      {(answer) => (
        <Table
          caption="Settings"
          rows={flat(answer)}
          keyOf={([name]) => name}
          empty="There are none."
          columns={[
            { head: 'Setting', cell: ([name]) => <Id of={name} /> },
            {
              head: 'Value',
              cell: ([, value]) => (
                <code class="payload">
                  <Text of={JSON.stringify(value) ?? 'none'} />
                </code>
              ),
            },
          ]}
        />
      )}
    </Panel>
  );
}

/** Sections and their settings as one list. */
function flat(settings: Readonly<Record<string, unknown>>): [name: string, value: unknown][] {
  return Object.entries(settings).flatMap(([section, values]): [string, unknown][] =>
    typeof values === 'object' && values !== null && !Array.isArray(values)
      ? Object.entries(values).map(([name, value]): [string, unknown] => [`${section}.${name}`, value])
      : [[section, values]],
  );
}
