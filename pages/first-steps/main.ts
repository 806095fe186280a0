import { codeOf, howToRun, steps, type Language, type Step } from './code.js';
import { EventList } from './event-list.js';
import { awayMs, Talk } from './talk.js';
import { fetchToken, NoTokenError, type Token } from './token.js';

/** A token is renewed when it is good for less than this, in milliseconds: whoever copies the code has that long to run it. */
const renewMs = 300_000;

const element = <Kind extends HTMLElement>(id: string) => document.getElementById(id) as Kind;
const topicField = element<HTMLInputElement>('topic');
const textField = element<HTMLInputElement>('text');
const tokenForm = element<HTMLFormElement>('own-token');
const buttons = [...document.querySelectorAll<HTMLButtonElement>('button[data-action]')];
const events = new EventList(element('events'), element('log'), element('events-empty'));

let token: Token | undefined;
let step: Step = 'connect';
/** One request at a time. */
let fetching: Promise<Token> | undefined;

async function freshToken(): Promise<string> {
  const isOld = token?.expiresAt !== undefined && token.expiresAt < Date.now() + renewMs;
  if (token === undefined || isOld) {
    fetching ??= fetchToken().finally(() => (fetching = undefined));
    token = await fetching;
    show();
  }
  return token.text;
}

const talk = new Talk({
  events,
  token: freshToken,
  onTokenRefused: () => {
    token = undefined;
    void begin();
  },
  onChange: () => show(),
});

const topic = () => topicField.value.trim() || 'first-steps';
const text = () => textField.value;

type Action = Step | 'back';

const actions: Readonly<Record<Action, () => void>> = {
  connect: () => talk.connect(),
  subscribe: () => void talk.subscribe(topic()),
  publish: () => void talk.publish(text()),
  cut: () => talk.cut(),
  away: () => void talk.publishByHttp(text()),
  back: () => talk.comeBack(),
};

function isPossible(action: Action): boolean {
  if (action === 'connect') return token !== undefined && !talk.isConnected && !talk.isAway;
  if (action === 'subscribe') return talk.isConnected;
  if (action === 'away' || action === 'back') return talk.isAway && talk.topic !== undefined;
  return talk.isConnected && talk.topic !== undefined;
}

function isDone(one: Step): boolean {
  if (one === 'connect') return talk.isConnected;
  if (one === 'subscribe') return talk.topic !== undefined;
  if (one === 'publish') return talk.hasPublished;
  if (one === 'cut') return talk.isAway || talk.hasBeenAway;
  return talk.hasBeenAway;
}

function stateText(): string {
  if (talk.isConnected)
    return talk.topic === undefined ? 'Connected.' : `Connected, subscribed to ${talk.topic}.`;
  if (!talk.isAway) return 'Not connected.';
  return `Away: the client comes back by itself, at most ${awayMs / 1000} seconds after the cut.`;
}

/** Text is set only where it has changed: screen readers would say it again. */
function setText(target: HTMLElement, value: string): void {
  if (target.textContent !== value) target.textContent = value;
}

function show(): void {
  setText(element('state'), stateText());
  // A button that cannot be pressed now keeps the focus.
  for (const button of buttons)
    button.setAttribute('aria-disabled', String(!isPossible(button.dataset['action'] as Action)));
  const next = talk.isAway ? 'away' : steps.find((one) => !isDone(one));
  for (const item of document.querySelectorAll<HTMLElement>('li[data-step]')) {
    const one = item.dataset['step'] as Step;
    item.toggleAttribute('data-next', one === next);
    item.toggleAttribute('data-done', one !== next && isDone(one));
  }
  showCode();
}

function language(): Language {
  return document.querySelector<HTMLInputElement>('input[name=language]:checked')!.value as Language;
}

function showCode(): void {
  const context = {
    url: location.origin,
    token: token?.text ?? 'YOUR_TOKEN',
    topic: topic(),
    text: text(),
    last: talk.last,
  };
  setText(element('code-how'), howToRun[language()]);
  setText(document.querySelector<HTMLElement>('#code code')!, codeOf(language(), step, context));
}

function showStep(next: Step): void {
  if (step === next) return;
  step = next;
  showCode();
  // The program grows at its end.
  const code = element('code');
  code.scrollTop = code.scrollHeight;
}

for (const button of buttons)
  button.addEventListener('click', () => {
    const action = button.dataset['action'] as Action;
    showStep(action === 'back' ? 'away' : action);
    if (!isPossible(action)) return;
    actions[action]();
    show();
  });
for (const item of document.querySelectorAll<HTMLElement>('li[data-step]'))
  item.addEventListener('focusin', () => showStep(item.dataset['step'] as Step));
for (const field of [topicField, textField]) field.addEventListener('input', showCode);
element('languages').addEventListener('change', showCode);
element('copy').addEventListener('click', () => {
  const code = document.querySelector('#code code')!.textContent;
  navigator.clipboard.writeText(code).then(
    () => setText(element('copied'), 'Copied.'),
    () => setText(element('copied'), 'The browser does not allow it: select the text.'),
  );
  setTimeout(() => setText(element('copied'), ''), 3000);
});

tokenForm.addEventListener('submit', (event) => {
  event.preventDefault();
  const own = element<HTMLInputElement>('token').value.trim();
  token = { text: own, expiresAt: undefined };
  tokenForm.hidden = true;
  element('token-problem').hidden = true;
  show();
});

/** Asks for a token; without one, the user's own is asked for. */
async function begin(): Promise<void> {
  try {
    await freshToken();
  } catch (error) {
    const problem = element('token-problem');
    problem.hidden = false;
    setText(problem, error instanceof NoTokenError ? `No token: ${error.message}.` : String(error));
    tokenForm.hidden = false;
  }
  show();
}

// The token in the code is good whenever it is copied.
setInterval(() => {
  if (token?.expiresAt !== undefined) void freshToken().catch(() => undefined);
}, 5000);
void begin();
