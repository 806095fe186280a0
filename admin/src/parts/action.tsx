import { effect as follow, signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { call, curlOf, remedies, type ApiError, type Method } from '../api.js';
import { happened, refresh } from '../live.js';
import { may, token, type Role } from '../session.js';
import { Text } from './text.js';

/** Something an operator can do. */
export interface Action {
  /** As the button says it. */
  readonly title: string;
  readonly method: Method;
  readonly path: string;
  /** Without the reason. */
  readonly body?: object;
  /** What will happen to how many: a sentence, or a promise of one. */
  readonly effect: string | (() => Promise<string>);
  /** What has happened, from the answer. */
  readonly done: (answer: never) => string;
  /** Has to be typed, because it cannot be undone. */
  readonly word?: string;
  readonly role?: Role;
  /** Numbers that the operator may change. */
  readonly fields?: readonly Field[];
}

interface Field {
  /** In the body. */
  readonly name: string;
  readonly label: string;
  readonly value: number;
  readonly max: number;
  /** The body has so many times the number. */
  readonly times?: number;
}

const open = signal<Action | undefined>(undefined);
// Whoever signs in next, maybe with another role, has not asked for it.
follow(() => {
  if (token.value === '') open.value = undefined;
});

/** After these errors nobody knows whether it was done. */
const unknownAfter = ['offline', 'timeout', 'outcome_unknown', 'internal'];

/** A button that opens the confirmation. Who may not do it sees no button. */
export function Act({ action, quiet = false }: { action: Action; quiet?: boolean }) {
  if (!may(action.role ?? 'operator')) return null;
  return (
    <button class={quiet ? 'quiet' : ''} aria-haspopup="dialog" onClick={() => (open.value = action)}>
      {action.title}…
    </button>
  );
}

/** The one confirmation of the page. */
export function Confirmation() {
  const action = open.value;
  return action === undefined ? null : (
    <Dialog key={`${action.method}${action.path}${action.title}`} action={action} />
  );
}

function Dialog({ action }: { action: Action }) {
  const { title, method, path, body, word, fields = [] } = action;
  const dialog = useRef<HTMLDialogElement>(null);
  const [effect, setEffect] = useState(typeof action.effect === 'string' ? action.effect : '');
  const [reason, setReason] = useState('');
  const [numbers, setNumbers] = useState<Readonly<Record<string, number>>>({});
  const [typed, setTyped] = useState('');
  const [state, setState] = useState<'asked' | 'doing' | 'done'>('asked');
  const [outcome, setOutcome] = useState('');
  const [failure, setFailure] = useState<ApiError>();
  useEffect(() => {
    dialog.current?.showModal();
    const { effect } = action;
    if (typeof effect !== 'string')
      effect().then(setEffect, () => setEffect('How many it concerns could not be read.'));
  }, []);
  const sent = {
    ...body,
    ...Object.fromEntries(
      fields.map(({ name, value, times = 1 }) => [name, (numbers[name] ?? value) * times]),
    ),
    ...(reason !== '' && { reason }),
  };
  const act = async (event: Event) => {
    event.preventDefault();
    setState('doing');
    setFailure(undefined);
    try {
      const answer = await call(method, path, sent);
      const { silent_replicas: silent = [] } = answer as { silent_replicas?: readonly string[] };
      const not =
        silent.length > 0 &&
        ` Not on ${silent.join(', ')}, as far as is known: without an answer. Repeat it.`;
      setOutcome(action.done(answer as never) + (not || ''));
      setState('done');
    } catch (error) {
      setFailure(error as ApiError);
      setState('asked');
    }
    happened.value++;
    void refresh();
  };
  return (
    <dialog ref={dialog} aria-labelledby="action-title" onClose={() => (open.value = undefined)}>
      <form onSubmit={(event) => void act(event)}>
        <h2 id="action-title">{title}</h2>
        <p class="effect" aria-live="polite">
          {effect === '' ? 'Counting whom it concerns…' : <Text of={effect} max={2000} />}
        </p>
        {state !== 'done' && (
          <>
            {fields.map(({ name, label, value, max }) => (
              <label key={name}>
                {label}
                <input
                  type="number"
                  required
                  min={1}
                  max={max}
                  defaultValue={value}
                  onInput={(event) =>
                    setNumbers({ ...numbers, [name]: Math.round(event.currentTarget.valueAsNumber) })
                  }
                />
              </label>
            ))}
            <label>
              Reason, for the audit log
              <input
                autoFocus
                maxLength={500}
                value={reason}
                onInput={(event) => setReason(event.currentTarget.value)}
              />
            </label>
            {word !== undefined && (
              <label>
                It cannot be undone. Type <b>{word}</b>
                <input
                  value={typed}
                  autocomplete="off"
                  onInput={(event) => setTyped(event.currentTarget.value)}
                />
              </label>
            )}
            <p class="mute">The same by command:</p>
            <pre tabIndex={0} aria-label="The same by command">
              <Text of={curlOf(method, path, sent)} max={5000} lines />
            </pre>
          </>
        )}
        {failure !== undefined && (
          <p role="alert" class="bad">
            {unknownAfter.includes(failure.code)
              ? 'Nobody knows whether it was done; the audit log may: '
              : 'Not done: '}
            <Text of={failure.message} /> <code>{failure.code}</code> {remedies[failure.code]}
          </p>
        )}
        {state === 'done' && (
          <p role="status" class="good">
            <Text of={outcome} />
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            {state === 'done' ? 'Close' : 'Cancel'}
          </button>
          {state !== 'done' && (
            <button
              class="main"
              disabled={state === 'doing' || effect === '' || (word !== undefined && typed !== word)}
            >
              {title}
            </button>
          )}
        </div>
      </form>
    </dialog>
  );
}
