import { isForeign } from '../foreign-answer.js';
import { failure, warning, type Check } from '../codes.js';
import type { Observations, Refusal } from '../observations.js';

/** Paths of the service that something else answers. Operators may have a reason to keep out all but clients. */
export function blockedPaths(
  { url, upgrade, polling, token, operator }: Observations,
  isRemoved: boolean,
): Check[] {
  const answers: readonly (readonly [string, Refusal | null | undefined])[] = [
    ['/ws', isRemoved ? null : upgrade],
    ['/socket.io', polling?.refusal],
    ['/api', token.refusal],
    ['/admin', operator.refusal],
  ];
  const blocked = answers.flatMap(([path, refusal]) =>
    refusal && isForeign(refusal) ? [{ path, ...refusal }] : [],
  );
  if (blocked.length === 0) return [];
  const isForClients = ({ path }: { readonly path: string }) => path === '/ws' || path === '/socket.io';
  const text = blocked.map(({ path, status }) => `${path} with ${status}`).join(', ');
  if (!blocked.some(isForClients))
    return [
      warning(
        'RTC-PROXY-05',
        `something before the service answers ${text}; what is behind that was not looked at`,
        `rtc doctor --url http://REPLICA:8081   # from inside, if ${url} is to keep that closed`,
      ),
    ];
  const { path, status } = blocked.find(isForClients)!;
  // A proxy that passes the path on, to nobody or not so often.
  const isPassing = status === 429 || status >= 500;
  const names = blocked.map((one) => one.path.slice(1).replace('.', '\\.')).join('|');
  return [
    failure(
      'RTC-PROXY-05',
      `something before the service answers ${text}`,
      isPassing
        ? `curl -i ${url}${path}   # and the log of the proxy: where it passes this path to, and its limits`
        : `location ~ ^/(${names})(/|$) { proxy_pass http://REPLICA:8081; }   # nginx, with the headers of docs/deployment.md`,
    ),
  ];
}
