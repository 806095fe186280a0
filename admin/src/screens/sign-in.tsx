import { useState } from 'preact/hooks';
import { call, type ApiError } from '../api.js';
import { signedOutBy, signIn, type Me } from '../session.js';
import { Text } from '../parts/text.js';

export function SignIn() {
  const [error, setError] = useState('');
  const [isAsking, setAsking] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = (new FormData(event.currentTarget as HTMLFormElement).get('token') as string).trim();
    setAsking(true);
    setError('');
    try {
      signIn(given, await call<Me>('GET', '/me', undefined, given));
    } catch (failure) {
      const { code, message } = failure as ApiError;
      setError(code === 'forbidden' ? `This token is for no operator: ${message}.` : `${message} (${code})`);
    } finally {
      setAsking(false);
    }
  };
  const problem = error || signedOutBy.value;
  return (
    <main class="sign-in">
      <h1>Console of realtime-communication</h1>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Admin token
          <input
            name="token"
            type="password"
            required
            autoFocus
            autocomplete="off"
            spellcheck={false}
            aria-describedby="token-help"
          />
        </label>
        <p id="token-help" class="mute">
          With the role viewer, operator or admin. It stays in this tab. Make one with{' '}
          <code>rtc token --user olga --role operator</code>
        </p>
        {problem !== '' && (
          <p role="alert" class="bad">
            <Text of={problem} />
          </p>
        )}
        <button class="main" disabled={isAsking}>
          Sign in
        </button>
      </form>
    </main>
  );
}
