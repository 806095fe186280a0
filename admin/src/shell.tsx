import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { answeredAt, overview, overviewError, paused, refresh, staleSecs } from './live.js';
import { number } from './format.js';
import { Text } from './parts/text.js';
import { go, linkTo, place } from './router.js';
import { me, signedOutBy, signOut } from './session.js';

const sections = [
  ['', 'Overview', ''],
  ['talkers', 'Top talkers', 'talkers'],
  ['topics', 'Topics', 'topic'],
  ['users', 'Users', 'user'],
  ['connections', 'Connections', 'connection'],
  ['messages', 'Messages', 'message'],
  ['actors', 'Actors', 'actor'],
  ['sessions', 'Sessions', 'session'],
  ['audit', 'Audit', 'audit'],
  ['settings', 'Settings', 'settings'],
] as const;

export function Shell({ children }: { children: ComponentChildren }) {
  const { screen, name } = place.value;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    // Another screen: readers and the keyboard begin at its start.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
    scrollTo(0, 0);
    // On a phone the sections are one line.
    document.querySelector('nav [aria-current]')?.scrollIntoView({ inline: 'nearest', block: 'nearest' });
  }, [screen, name]);
  return (
    <div class="app">
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <nav aria-label="Sections">
        <div class="brand">
          <svg
            width="20"
            height="20"
            viewBox="0 0 20 20"
            fill="none"
            stroke="currentColor"
            stroke-width="2"
            stroke-linecap="round"
            aria-hidden="true"
          >
            <path d="M3 10h3l2-6 4 12 2-6h3" />
          </svg>
          realtime
        </div>
        {sections.map(([path, title, one]) => (
          <a
            key={path}
            href={linkTo(path)}
            aria-current={screen === path || screen === one ? 'page' : undefined}
          >
            {title} <Count of={path} />
          </a>
        ))}
        <div class="who">
          <b>
            <Text of={me.value?.user_id ?? '…'} max={40} />
          </b>
          {me.value?.role ?? ''}{' '}
          <button class="quiet" onClick={() => signOut()}>
            sign out
          </button>
        </div>
      </nav>
      <div class="page">
        <header>
          <Search />
          <Liveness />
        </header>
        <main id="main" ref={main} tabIndex={-1}>
          <Stale />
          {signedOutBy.value !== '' && (
            <p class="banner critical" role="alert">
              This token has no role of an operator: <Text of={signedOutBy.value} />
            </p>
          )}
          {children}
        </main>
      </div>
    </div>
  );
}

function Count({ of }: { of: string }) {
  const all = overview.value;
  if (all === undefined) return null;
  const stopped = all.replicas.reduce((sum, { stopped_actors: count }) => sum + count, 0);
  if (of === 'connections') return <span>{number(all.figures.connections)}</span>;
  if (of === 'actors' && stopped > 0) return <span>{stopped} stopped</span>;
  return null;
}

function Search() {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const text = new FormData(event.currentTarget as HTMLFormElement).get('q') as string;
    if (text.trim() !== '') go(linkTo('search', text.trim()));
  };
  return (
    <form role="search" class="search" onSubmit={submit}>
      <input
        id="search"
        type="search"
        name="q"
        maxLength={500}
        autocomplete="off"
        spellcheck={false}
        aria-label="Find a user, topic, message id or connection"
        placeholder="Find a user, topic, message id or connection"
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}

/** Whether what the page shows is of now. */
function Liveness() {
  const all = overview.value;
  const toggle = () => {
    paused.value = !paused.value;
    void refresh();
  };
  const known = (all?.replicas.length ?? 0) + (all?.silent_replicas.length ?? 0);
  const text = paused.value
    ? 'paused'
    : staleSecs.value > 0
      ? `old: ${staleSecs.value} s`
      : answeredAt.value === 0
        ? 'connecting…'
        : `live · ${all!.replicas.length} of ${known} ${known === 1 ? 'replica' : 'replicas'} answer`;
  const isLive = !paused.value && staleSecs.value === 0 && answeredAt.value > 0;
  return (
    <div class="live">
      <span class={`dot ${isLive ? '' : 'off'}`} aria-hidden="true" />
      <span>{text}</span>
      <button class="quiet" aria-pressed={paused.value} onClick={toggle} title="Key: p">
        {paused.value ? 'go on' : 'pause'}
      </button>
    </div>
  );
}

function Stale() {
  const { value: all } = overview;
  if (staleSecs.value === 0 || paused.value) return null;
  return (
    <p class="banner critical" role="alert">
      <b>These figures are old.</b>{' '}
      <span>
        No answer{all !== undefined && ` from ${all.answered_by}`} for {staleSecs.value} s.{' '}
        <Text of={overviewError.value?.message ?? ''} /> The page tries again every two seconds.
      </span>
    </p>
  );
}
