import type { ComponentChildren } from 'preact';
import { useEffect, useErrorBoundary } from 'preact/hooks';
import { call } from './api.js';
import { plain } from './format.js';
import { followKeys } from './keys.js';
import { overview } from './live.js';
import { Confirmation } from './parts/action.js';
import { Text } from './parts/text.js';
import { place } from './router.js';
import { Actors } from './screens/actors.js';
import { Audit } from './screens/audit.js';
import { ConnectionScreen, Connections } from './screens/connections.js';
import { MessageScreen, Messages } from './screens/messages.js';
import { Overview } from './screens/overview.js';
import { SearchResults } from './screens/search.js';
import { SessionScreen, Sessions } from './screens/sessions.js';
import { Settings } from './screens/settings.js';
import { SignIn } from './screens/sign-in.js';
import { Talkers } from './screens/talkers.js';
import { TopicScreen, Topics } from './screens/topics.js';
import { UserScreen, Users } from './screens/users.js';
import { me, signedOutBy, token, type Me } from './session.js';
import { Shell } from './shell.js';

/** Titles of the screens, by their place in the address. */
const titles: Readonly<Record<string, string>> = {
  '': 'Overview',
  talkers: 'Top talkers',
  topics: 'Topics',
  topic: 'Topic',
  users: 'Users',
  user: 'User',
  connections: 'Connections',
  connection: 'Connection',
  messages: 'Messages',
  message: 'Message',
  actors: 'Actors',
  sessions: 'Sessions',
  session: 'Session',
  audit: 'Audit log',
  settings: 'Settings',
  search: 'Search',
};

function Screen() {
  const { screen, name, query } = place.value;
  // An address with such a part means another one: see `isUserId` of the service.
  if (screen !== 'search' && (name === '.' || name === '..')) return <h1>Nothing has the name {name}</h1>;
  switch (screen) {
    case '':
      return <Overview />;
    case 'talkers':
      return <Talkers />;
    case 'topics':
      return <Topics />;
    case 'topic':
      return <TopicScreen key={name} topic={name} />;
    case 'users':
      return <Users />;
    case 'user':
      return <UserScreen key={name} user={name} />;
    case 'connections':
      return <Connections key={query.toString()} query={query} />;
    case 'connection':
      return <ConnectionScreen key={name} id={name} />;
    case 'messages':
      return <Messages key={query.toString()} query={query} />;
    case 'message':
      return <MessageScreen key={name} id={name} query={query} />;
    case 'actors':
      return <Actors />;
    case 'sessions':
      return <Sessions key={query.toString()} query={query} />;
    case 'session':
      return <SessionScreen key={name} id={name} />;
    case 'audit':
      return <Audit />;
    case 'settings':
      return <Settings />;
    case 'search':
      return <SearchResults key={name} text={name} />;
    default:
      return <h1>There is no screen of this name</h1>;
  }
}

/** Keeps what cannot be drawn to its own screen: the others, and the way to them, go on. */
function Guarded({ children }: { children: ComponentChildren }) {
  const [error, again] = useErrorBoundary() as [unknown, () => void];
  if (error === undefined) return <>{children}</>;
  return (
    <div class="note" role="alert">
      <p>
        <b>This screen cannot be shown.</b> <Text of={String(error)} />
      </p>
      <button onClick={again}>Try again</button>
    </div>
  );
}

export function App() {
  const isIn = token.value !== '';
  const { screen, name } = place.value;
  const state = overview.value?.verdict.state ?? 'ok';
  const title = isIn
    ? `${Object.hasOwn(titles, screen) ? titles[screen] : 'Console'}${name === '' ? '' : ` ${plain(name, 60)}`}`
    : 'Sign in';
  useEffect(() => {
    document.title = `${state === 'ok' ? '' : state === 'critical' ? '■ ' : '▲ '}${title} · realtime-communication`;
  }, [title, state]);
  useEffect(() => followKeys(), []);
  useEffect(() => {
    // After a reload the token is there, but not who it is.
    if (isIn && me.peek() === undefined)
      call<Me>('GET', '/me').then(
        (who) => (me.value = who),
        ({ code, message }: { code: string; message: string }) => {
          if (code === 'forbidden') signedOutBy.value = message;
        },
      );
  }, [isIn]);
  if (!isIn) return <SignIn />;
  return (
    <Shell>
      <Guarded key={`${screen}/${name}`}>
        <Screen />
      </Guarded>
      <Confirmation />
    </Shell>
  );
}
