import type { ComponentChildren } from 'preact';
import { plural } from '../format.js';
import { overview } from '../live.js';
import type { Control } from '../overview.js';
import { pathOf } from '../api.js';
import { linkTo } from '../router.js';
import { Act, type Action } from './action.js';
import { Ago, Id, Text } from './text.js';

/** Everybody, in numbers. */
export function everybody(): string {
  const all = overview.peek();
  if (all === undefined) return 'all connections of all replicas';
  return `${plural(all.figures.connections, 'connection')} on ${plural(all.replicas.length, 'replica')}`;
}

export function modeAction(mode: Control['mode']): Action {
  const effects = {
    normal: `${everybody()} may do everything again.`,
    read_only: `${everybody()} can no longer publish or send direct messages. Reading goes on.`,
    maintenance: `${everybody()} can no longer run commands. What is in the logs is still delivered.`,
  };
  const titles = { normal: 'Back to normal', read_only: 'Read only', maintenance: 'Maintenance' };
  return {
    title: titles[mode],
    method: 'POST',
    path: '/emergency-mode',
    body: { mode },
    effect: () => Promise.resolve(effects[mode]),
    done: ({ mode: now }: { mode: string }) => `The mode is ${now} now.`,
  };
}

export function connectionsAction(enable: boolean): Action {
  return {
    title: enable ? 'Admit new connections' : 'Refuse new connections',
    method: 'POST',
    path: `/connections/${enable ? 'enable' : 'disable'}-new`,
    effect: () =>
      Promise.resolve(
        enable
          ? `New clients are admitted again, beside ${everybody()}.`
          : `New clients are refused with at_capacity, on all replicas. ${everybody()} stay.`,
      ),
    done: () => (enable ? 'New connections are admitted.' : 'New connections are refused.'),
  };
}

export function presenceAction(restore: boolean): Action {
  return {
    title: restore ? 'Restore presence' : 'Shed presence',
    method: 'POST',
    path: `/presence/${restore ? 'restore' : 'shed'}`,
    effect: () =>
      Promise.resolve(
        restore
          ? `The watchers among ${everybody()} see joins and leaves again.`
          : `The watchers among ${everybody()} see no joins and leaves, and Redis has less to do.`,
      ),
    done: () => (restore ? 'Presence is on.' : 'Presence is shed.'),
  };
}

export function freezeAction(topic: string, freeze: boolean): Action {
  return {
    title: freeze ? 'Freeze' : 'Unfreeze',
    method: 'POST',
    path: pathOf`/topics/${topic}` + (freeze ? '/freeze' : '/unfreeze'),
    effect: freeze
      ? `Publishes to ${topic} are refused with topic_frozen, for everybody. Reading goes on.`
      : `Publishes to ${topic} are allowed again.`,
    done: () => (freeze ? 'The topic is frozen.' : 'The topic is not frozen any more.'),
  };
}

/** The switches that operators have thrown, each with the way back. */
export function Switches({ control }: { control: Control }) {
  const {
    mode,
    accepts_connections: accepts,
    presence,
    switched,
    frozen,
    frozen_topics: topics,
    limited_users: limited = 0,
  } = control;
  return (
    <>
      {mode !== 'normal' && (
        <Banner
          title={mode === 'read_only' ? 'The service is read only' : 'The service is in maintenance'}
          by={switched['mode']}
          action={modeAction('normal')}
        >
          {mode === 'read_only' ? 'Publishes and direct messages are refused.' : 'Commands are refused.'}
        </Banner>
      )}
      {!accepts && (
        <Banner
          title="New connections are refused"
          by={switched['connections']}
          action={connectionsAction(true)}
        >
          Clients that are connected stay.
        </Banner>
      )}
      {presence === 'shed' && (
        <Banner title="Presence is shed" by={switched['presence']} action={presenceAction(true)}>
          Watchers see no joins and leaves.
        </Banner>
      )}
      {topics.slice(0, 3).map((topic) => (
        <Banner
          key={topic}
          title="A topic is frozen"
          by={switched[`frozen:${topic}`]}
          action={freezeAction(topic, false)}
        >
          <Id of={topic} href={linkTo('topic', topic)} /> refuses publishes.
        </Banner>
      ))}
      {frozen > 3 && <p class="banner">{plural(frozen - 3, 'more topic')} are frozen.</p>}
      {limited > 0 && (
        <p class="banner">
          {plural(limited, 'user')} with a limit of their own: <a href={linkTo('talkers')}>limits</a>
        </p>
      )}
      {switched['connection_rps'] !== undefined || switched['user_rps'] !== undefined ? (
        <Banner
          title="Rate limits are changed"
          by={switched['connection_rps'] ?? switched['user_rps']}
          action={{
            title: 'Rate limits of the settings',
            method: 'DELETE',
            path: '/config/rate-limits',
            effect: () => Promise.resolve(`The limits of the settings apply to ${everybody()} again.`),
            done: () => 'The limits of the settings apply.',
          }}
        >
          {control.rate_limits.connection_rps} commands/s of a connection, {control.rate_limits.user_rps} of a
          user; 0: no limit.
        </Banner>
      ) : null}
    </>
  );
}

function Banner(props: {
  title: string;
  by: Control['switched'][string] | undefined;
  action: Action;
  children: ComponentChildren;
}) {
  const { by } = props;
  return (
    <div class="banner" role="status">
      <b>{props.title}</b>
      <span>
        {by !== undefined && (
          <>
            by <Text of={by.by} max={60} />, <Ago at={by.at} />
            {by.reason !== undefined && (
              <>
                : “<Text of={by.reason} />”
              </>
            )}
            .{' '}
          </>
        )}
        {props.children}
      </span>
      <Act action={props.action} />
    </div>
  );
}
