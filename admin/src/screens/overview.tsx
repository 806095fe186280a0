import { overview, overviewError, refresh } from '../live.js';
import { bytes, duration, ms, number, plural, short } from '../format.js';
import type { BusyTopic, OverviewAnswer, Replica, Sample } from '../overview.js';
import { Failed, Skeleton } from '../parts/resource.js';
import { Switches } from '../parts/switches.js';
import { Table } from '../parts/table.js';
import { Ago, Badge, Bar, Id, Text } from '../parts/text.js';
import { Tile } from '../parts/tile.js';
import { linkTo } from '../router.js';

export function Overview() {
  const all = overview.value;
  if (all === undefined)
    return overviewError.value === undefined ? (
      <Skeleton />
    ) : (
      <Failed error={overviewError.value} read={() => void refresh()} />
    );
  return (
    <>
      <VerdictLine of={all} />
      <Switches control={all.control} />
      <Figures of={all} />
      <div class="cols">
        <Replicas of={all} />
        <Alerts of={all} />
      </div>
      <section class="card" aria-label="Busiest topics">
        <h2>
          Busiest topics{' '}
          <span class="aside">
            <a href={linkTo('talkers')}>who sends the most</a> · <a href={linkTo('topics')}>all topics</a>
          </span>
        </h2>
        <BusyTopics rows={all.topics} />
      </section>
    </>
  );
}

const stateWords = { ok: 'Well', warning: 'Degraded', critical: 'Critical' } as const;

function VerdictLine({ of: { verdict } }: { of: OverviewAnswer }) {
  return (
    <div class="verdict" role="status">
      <Badge state={verdict.state} word={stateWords[verdict.state]} />
      <div>
        <h1>
          <Text of={verdict.sentence} max={1000} />
        </h1>
        {verdict.findings.map(({ code, sentence, where, since, next }, i) => (
          <p key={`${code} ${where.join()}`}>
            {i > 0 && (
              <>
                <b>
                  <Text of={sentence} max={1000} />
                </b>{' '}
              </>
            )}
            {where.length > 0 && (
              <>
                On{' '}
                {where.map((name) => (
                  <Id key={name} of={name} />
                ))}
                , since <Ago at={since} />.{' '}
              </>
            )}
            <Text of={next} max={1000} />
          </p>
        ))}
      </div>
    </div>
  );
}

function Figures({ of: { figures, history } }: { of: OverviewAnswer }) {
  const times = history.samples.map(({ slot }) => slot * history.step_secs);
  const of = (read: (sample: Sample) => number) => history.samples.map(read);
  const peak = Math.max(0, ...of((sample) => sample.deliveries_per_sec));
  const codes = Object.entries(figures.refused_by_code)
    .sort(([, one], [, other]) => other - one)
    .slice(0, 2)
    .map(([code, rate]) => `${code} ${short(rate)}`);
  const isRefusing = figures.refused_per_sec >= 1;
  return (
    <section class="tiles" aria-label="Key figures, last ten minutes">
      <Tile
        title="Connections"
        value={figures.connections}
        more={
          figures.connections_limit === null
            ? plural(figures.subscriptions, 'subscription')
            : `of ${number(figures.connections_limit)}`
        }
        times={times}
        values={of((sample) => sample.connections)}
        format={number}
      />
      <Tile
        title="Deliveries per second"
        value={figures.deliveries_per_sec}
        more={`peak ${short(peak)}`}
        times={times}
        values={of((sample) => sample.deliveries_per_sec)}
        format={short}
      />
      <Tile
        title="Delivery latency, p99"
        value={figures.p99_ms}
        unit="ms"
        more={`p50 ${ms(figures.p50_ms)} ms`}
        times={times}
        values={of((sample) => sample.p99_ms)}
        format={ms}
      />
      <Tile
        title="Refused per second"
        value={figures.refused_per_sec}
        more={codes.join(' · ')}
        times={times}
        values={of((sample) => sample.refused_per_sec)}
        format={short}
        isWarning={isRefusing}
      />
    </section>
  );
}

function stateOf({ phase, problems, stopped_actors: stopped, redis }: Replica): preact.JSX.Element | null {
  if (redis === 'down') return <Badge state="critical" word="Redis down" />;
  if (phase !== 'running') return <Badge state="warning" word={phase} />;
  if (stopped > 0) return <Badge state="warning" word={plural(stopped, 'actor') + ' stopped'} />;
  return problems.length > 0 ? <Badge state="warning" word={plural(problems.length, 'problem')} /> : null;
}

function Replicas({ of }: { of: OverviewAnswer }) {
  const memory = of.replicas.find(({ redis_memory: found }) => found !== null)?.redis_memory;
  const up = of.replicas.filter(({ redis }) => redis === 'up').length;
  return (
    <section class="card" aria-label="Replicas">
      <h2>
        Replicas <a href={linkTo('settings')}>drain</a>
      </h2>
      <Table
        caption="Replicas"
        rows={of.replicas}
        keyOf={({ replica_id: id }) => id}
        empty="No replica answers."
        columns={[
          {
            head: 'Replica',
            cell: (one) => (
              <>
                <Id of={one.replica_id} /> {stateOf(one)}
              </>
            ),
          },
          {
            head: 'Connections',
            cell: ({ connections, connections_limit: limit }) => (
              <Bar
                share={limit === null ? null : connections / limit}
                text={number(connections)}
                warnAt={0.9}
              />
            ),
          },
          {
            head: 'Event loop',
            cell: ({ busy }) => <Bar share={busy} text={busy === null ? '–' : `${number(busy * 100)} %`} />,
          },
          {
            head: 'Memory',
            isExtra: true,
            cell: (one) => (
              <Bar share={one.heap_bytes / one.heap_limit_bytes} text={bytes(one.rss_bytes)} warnAt={0.9} />
            ),
          },
          { head: 'p99', isNumber: true, cell: ({ p99_ms: p99 }) => `${ms(p99)} ms` },
          { head: 'Up', isNumber: true, isExtra: true, cell: ({ uptime_secs: secs }) => duration(secs) },
        ]}
      />
      {of.silent_replicas.map((name) => (
        <p key={name} class="note">
          <Id of={name} /> <Badge state="critical" word="does not answer" />
        </p>
      ))}
      {of.outdated_replicas.map((name) => (
        <p key={name} class="note">
          <Id of={name} /> runs an older version, which has no overview.
        </p>
      ))}
      <p class="note">
        {of.replicas.some(({ redis }) => redis !== 'none') ? (
          <>
            Redis:{' '}
            <Badge
              state={up === of.replicas.length ? 'ok' : 'critical'}
              word={up === of.replicas.length ? 'up' : `up on ${up} of ${of.replicas.length}`}
            />{' '}
            {memory !== null &&
              memory !== undefined &&
              `${bytes(memory.used_bytes)}${memory.max_bytes > 0 ? ` of ${bytes(memory.max_bytes)}` : ''}, memory ${memory.level}`}
          </>
        ) : (
          'Without Redis: one replica, in memory.'
        )}
      </p>
    </section>
  );
}

function Alerts({ of: { alerts } }: { of: OverviewAnswer }) {
  return (
    <section class="card" aria-label="Open alerts">
      <h2>
        Open alerts <a href={linkTo('audit')}>all</a>
      </h2>
      {alerts.length === 0 ? (
        <p class="note">
          None in the last hour. Alerts are raised by outages of Redis and by actors that stop.
        </p>
      ) : (
        <ul class="alerts">
          {alerts.map(({ id, severity, message, replica_id: replica, at, kind }) => (
            <li key={id}>
              <Badge state={severity === 'critical' ? 'critical' : 'warning'} word={severity} />
              <div>
                <Text of={message} />
                <p>
                  <Text of={kind} /> on <Id of={replica} />
                </p>
              </div>
              <Ago at={at} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function BusyTopics({ rows }: { rows: readonly BusyTopic[] }) {
  const rate = (value: number | null) => (value === null ? '–' : short(value));
  return (
    <Table
      caption="Busiest topics"
      rows={rows}
      keyOf={({ topic }) => topic}
      empty="No topic has subscribers. A client subscribes with the command subscribe."
      columns={[
        { head: 'Topic', cell: ({ topic }) => <Id of={topic} href={linkTo('topic', topic)} /> },
        { head: 'Subscribers', isNumber: true, cell: ({ subscribers }) => number(subscribers) },
        { head: 'Messages/s', isNumber: true, cell: (one) => rate(one.messages_per_sec) },
        { head: 'Deliveries/s', isNumber: true, cell: (one) => rate(one.deliveries_per_sec) },
        { head: 'Catching up', isNumber: true, isExtra: true, cell: ({ behind }) => number(behind) },
        {
          head: 'State',
          isExtra: true,
          cell: ({ frozen }) => <Badge state={frozen ? 'warning' : 'ok'} word={frozen ? 'frozen' : 'live'} />,
        },
      ]}
    />
  );
}
