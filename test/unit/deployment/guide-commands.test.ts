import assert from 'node:assert/strict';
import { compose, readText, rendered } from '../../support/deployment-files.js';

/** Commands of the users' guide, and those in docs/. */
const guide = [
  'docker logs realtime-communication | grep ERROR',
  'kubectl scale statefulset realtime-communication --replicas=6',
  "kubectl get secret jwt-secret -o jsonpath='{.data.secret}' | base64 -d | sha256sum",
];
const pages = ['docs/troubleshooting.md', 'docs/deployment.md'];
const documented = pages.flatMap((page) =>
  [...readText(page).matchAll(/^ *((?:kubectl|docker) .+)$/gm)].map(([, command = '']) => command),
);
const commands = [...guide, ...documented];

const objects = rendered.get('default.yaml')!;
const has = (kind: string, name: string) =>
  objects.some((object) => object.kind.toLowerCase() === kind.toLowerCase() && object.metadata.name === name);

describe('[DEPLOY] the commands of the guide', () => {
  it('for kubectl name objects of the rendered manifests', () => {
    let checked = 0;
    for (const command of commands) {
      const match =
        /^kubectl (?:-n \S+ )?(?:scale|get|logs|rollout \w+|port-forward|describe) (statefulset|deployment|secret|service|pod)[ /]([\w-]+)/.exec(
          command,
        );
      if (!command.startsWith('kubectl ') || match === null) continue;
      const [, kind = '', name = ''] = match;
      if (kind === 'pod') assert.match(name, /^realtime-communication-\d+$/);
      else assert.ok(has(kind, name), command);
      checked++;
    }
    assert.ok(checked >= 4, `only ${checked} commands were found`);
  });

  it('read a key that the Secret has', () => {
    const secret = objects.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === 'jwt-secret');
    for (const command of commands) {
      const key = /jsonpath='\{\.data\.(\w+)\}'/.exec(command)?.[1];
      if (key !== undefined) assert.ok(key in (secret?.data ?? {}), command);
    }
  });

  it('for docker name containers of the compose file', () => {
    const names = Object.values(compose.services).map((service) => service.container_name);
    let checked = 0;
    for (const command of commands) {
      const name = /^docker (?:logs|inspect|exec|stop|restart) (?:-\S+ )*([\w-]+)/.exec(command)?.[1];
      if (name === undefined) continue;
      assert.ok(names.includes(name), command);
      checked++;
    }
    assert.ok(checked >= 2, `only ${checked} commands were found`);
  });
});
