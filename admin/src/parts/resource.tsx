import { signal, type Signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { call, remedies, type ApiError } from '../api.js';
import { clock, happened, paused } from '../live.js';
import { duration } from '../format.js';
import { Text } from './text.js';

/** An answer of the API that is read again now and then. */
export interface Resource<Answer> {
  readonly answer: Answer | undefined;
  readonly error: ApiError | undefined;
  readonly at: number;
  readonly read: () => void;
}

/** What is read once is read again after these errors: they pass. */
const passing = ['offline', 'unavailable', 'busy', 'timeout'];
const retryMs = 5000;

interface State<Answer> {
  readonly path: string;
  readonly answer?: Answer;
  readonly error?: ApiError;
  readonly at: number;
}

/** Reads a route, when its path changes, when something has happened, and every `everyMs`; null: nothing yet. */
export function useResource<Answer>(path: string | null, everyMs = 0): Resource<Answer> {
  const [state] = useState(() => signal<State<Answer>>({ path: '', at: 0 }));
  const [again] = useState(() => signal(0));
  const { value } = again;
  const trigger = happened.value;
  useEffect(() => {
    if (path === null) return;
    let isOn = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async () => {
      if (!(paused.peek() && state.peek().path === path) && !document.hidden)
        await readInto(state, path, () => isOn);
      const failed = everyMs === 0 && passing.includes(state.peek().error?.code ?? '');
      if (isOn && (everyMs > 0 || failed)) timer = setTimeout(() => void read(), everyMs || retryMs);
    };
    void read();
    return () => {
      isOn = false;
      clearTimeout(timer);
    };
  }, [path, everyMs, value, trigger]);
  const shown = state.value.path === path ? state.value : undefined;
  return { answer: shown?.answer, error: shown?.error, at: shown?.at ?? 0, read: () => again.value++ };
}

async function readInto<Answer>(state: Signal<State<Answer>>, path: string, isWanted: () => boolean) {
  try {
    const answer = await call<Answer>('GET', path);
    if (isWanted()) state.value = { path, answer, at: Date.now() };
  } catch (error) {
    if (!isWanted()) return;
    const before = state.peek();
    const kept = before.path === path ? before : { path, at: 0 };
    state.value = { ...kept, error: error as ApiError };
  }
}

/** A part of a screen with all its states: loading, error, stale, or what it shows. */
export function Panel<Answer>({
  title,
  of,
  aside,
  children,
}: {
  title: string;
  of: Resource<Answer>;
  aside?: ComponentChildren;
  children: (answer: Answer) => ComponentChildren;
}) {
  const { answer, error, at, read } = of;
  const isStale = answer !== undefined && error !== undefined;
  return (
    <section class={`card ${isStale ? 'stale' : ''}`} aria-label={title}>
      <h2>
        {title} <span class="aside">{aside}</span>
      </h2>
      {isStale && (
        <p class="note" role="status">
          No newer answer since {duration((clock.value - at) / 1000)}: <Text of={error.message} />
        </p>
      )}
      {answer !== undefined ? (
        children(answer)
      ) : error !== undefined ? (
        <Failed error={error} read={read} />
      ) : (
        <Skeleton />
      )}
    </section>
  );
}

export function Skeleton() {
  return (
    <div class="skeleton" role="status">
      Loading…
    </div>
  );
}

export function Failed({ error, read }: { error: ApiError; read: () => void }) {
  return (
    <div class="note" role="alert">
      <p>
        <b>
          {error.code === 'forbidden'
            ? 'Your role may not see this.'
            : error.code === 'not_found'
              ? 'Not found.'
              : 'This could not be read.'}
        </b>{' '}
        <Text of={error.message} /> <code>{error.code}</code>
      </p>
      {remedies[error.code] !== undefined && <p>{remedies[error.code]}</p>}
      <button onClick={read}>Try again</button>
    </div>
  );
}
