// The Helm chart as Helm renders it: with defaults, with every value set, with odd values, and those that it refuses. Part of `npm run test:deploy`.
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { manifestCheck, objectsOf } = require('./deployment-files.cjs');

const helmFolder = join(__dirname, '..', 'docker', 'helm');
const chart = join(helmFolder, 'realtime-communication');
const renderedFolder = join(helmFolder, 'rendered');

const header = `# Rendered by Helm from docker/helm/realtime-communication: npm run test:deploy -- --write\n`;
const publicSecret = 'an-example-of-32-bytes-or-more-which-is-public';
const longName = `a${'b'.repeat(61)}c`;

/** Arguments of Helm: a message that has to be in the refusal. */
const refused = {
  'redis.url=': 'replicaCount: several replicas need Redis',
  'terminationGracePeriodSeconds=20': 'terminationGracePeriodSeconds: at least 55',
  'autoscaling.enabled=true,keda.enabled=true': 'autoscaling.enabled, keda.enabled',
  'autoscaling.enabled=true,autoscaling.minReplicas=11': 'autoscaling.minReplicas: more than maxReplicas',
  'keda.enabled=true,keda.minReplicas=11': 'keda.minReplicas: more than maxReplicas',
  'keda.enabled=true,keda.connections=0,keda.eventLoopLagMs=0': 'keda: set connections or eventLoopLagMs',
  'jwtSecret.value=short': 'jwtSecret.value: at least 32 bytes',
  [`existingSecret=mine,jwtSecret.value=${publicSecret}`]: 'jwtSecret.value, existingSecret: set one of them',
  'gateway.httpRoute.enabled=true': 'gateway.httpRoute.parentRefs',
  'gateway.httpRoute.enabled=true,gateway.httpRoute.parentRefs[0].name=shared,gateway.httpRoute.paths=null':
    'gateway.httpRoute.paths: name the paths of clients',
  'gateway.create=true,gateway.className=example,gateway.listeners=null':
    'gateway.listeners: name a listener',
  'ingress.enabled=true,ingress.hosts=null': 'ingress.hosts: name a host',
  'ingress.enabled=true,ingress.paths=null': 'ingress.paths: name the paths of clients',
  'replicas=3': 'replicas',
  'service.port=0': 'service/port',
  [`fullnameOverride=${longName}`]: 'fullnameOverride',
  'fullnameOverride=Chat_1': 'fullnameOverride',
  // Without effect, as the pods get variables that win.
  'config.redis.url=redis://other': 'config.redis.url: set redis.url',
  'config.server.port=9000': 'config.server.port: the pods listen on 8081',
  'config.server.drain_window_secs=60': 'config.server.drain_window_secs: set drain.windowSecs',
  'config.auth.jwt_secret=x': 'config.auth.jwt_secret: set existingSecret',
  'env[0].name=RTC_SERVER_DRAIN_WINDOW_SECS,env[0].value=600':
    'env, RTC_SERVER_DRAIN_WINDOW_SECS: set drain.windowSecs',
  'env[0].name=REDIS_URL,env[0].value=redis://other': 'env, REDIS_URL: set redis.url',
  'env[0].name=PORT,env[0].value=9000': 'env, PORT: the pods listen on 8081',
  'podLabels.app\\.kubernetes\\.io/name=chat': 'podLabels, app.kubernetes.io/name: the chart sets it',
};

const workloadOf = (objects) =>
  objects.find(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment').spec;
const containerOf = (objects) => workloadOf(objects).template.spec.containers[0];
const variableOf = (objects, wanted) => containerOf(objects).env.find(({ name }) => name === wanted)?.value;

/** Odd values: what has to come out, and where. */
const accepted = {
  'existingSecret=': [(objects) => objects.filter(({ kind }) => kind === 'Secret').length, 1],
  'existingSecret=mine': [(objects) => objects.filter(({ kind }) => kind === 'Secret').length, 0],
  'replicaCount=0': [(objects) => workloadOf(objects).replicas, 0],
  'autoscaling.enabled=true': [
    (objects) => [
      workloadOf(objects).replicas,
      objects.find(({ kind }) => kind === 'HorizontalPodAutoscaler').spec.scaleTargetRef.kind,
    ],
    [undefined, 'StatefulSet'],
  ],
  'redis.url=redis+cluster://a:1\\,b:2': [
    (objects) => variableOf(objects, 'REDIS_URL'),
    'redis+cluster://a:1,b:2',
  ],
  'redis.url=rediss+sentinel://a:1/main': [
    (objects) => variableOf(objects, 'REDIS_URL'),
    'rediss+sentinel://a:1/main',
  ],
  'redis.url=,config.redis.url=redis://other': [(objects) => variableOf(objects, 'REDIS_URL'), undefined],
  'redis.url=,config.redis.sentinels[0]=a:26379': [(objects) => workloadOf(objects).replicas, 2],
  'redis.url=,env[0].name=REDIS_URL,env[0].value=redis://other': [
    (objects) => variableOf(objects, 'REDIS_URL'),
    'redis://other',
  ],
  'fullnameOverride=': [
    (objects) => objects.find(({ kind }) => kind === 'Service').metadata.name,
    'realtime-communication-realtime-communication',
  ],
  'kind=Deployment,strategy.type=Recreate': [(objects) => workloadOf(objects).strategy, { type: 'Recreate' }],
  'livenessProbe=null': [(objects) => containerOf(objects).livenessProbe, undefined],
  'livenessProbe.exec.command[0]=ls': [(objects) => containerOf(objects).livenessProbe.httpGet, undefined],
  'config=null': [(objects) => objects.filter(({ kind }) => kind === 'ConfigMap').length, 0],
  'config.websocket.max_connections=1000000': [
    (objects) =>
      /max_connections = (\S+)/.exec(objects.find(({ kind }) => kind === 'ConfigMap').data['rtc.toml'])?.[1],
    '1000000',
  ],
  'service.annotations.a\\.b/c=d,ingress.enabled=true,ingress.annotations.a\\.b/c=d': [
    (objects) => objects.filter(({ metadata }) => metadata.annotations?.['a.b/c'] === 'd').length,
    2,
  ],
  'gateway.httpRoute.enabled=true,gateway.httpRoute.parentRefs[0].name=shared': [
    (objects) => objects.find(({ kind }) => kind === 'HTTPRoute').spec.parentRefs,
    [{ name: 'shared' }],
  ],
  'keda.enabled=true,keda.eventLoopLagMs=0': [
    (objects) => objects.find(({ kind }) => kind === 'ScaledObject').spec.triggers.length,
    1,
  ],
};

/** @param tools `test` counts, `run` runs a program, `helm` is the path of Helm */
async function testChart({ test, run, helm }) {
  const check = manifestCheck();
  /** The chart as text, or a Helm's refusal as an Error. */
  const render = (args, name = 'realtime-communication') => {
    // A Helm that was built from its module alone believes in 1.20.
    const fixed = ['--kube-version', '1.37.0', '--namespace', 'default'];
    const { status, stdout, output } = run(helm, ['template', name, chart, ...fixed, ...args]);
    if (status !== 0) throw new Error(output);
    // Nobody shall run with a secret that everybody can read: the service refuses an empty one.
    return header + stdout.replace(Buffer.from(publicSecret).toString('base64'), '""');
  };
  const validObjects = (text) => {
    const problems = objectsOf(text).flatMap(check);
    if (problems.length > 0) throw new Error(problems.join('\n'));
    return objectsOf(text);
  };
  const values = (name) => ['--values', join(chart, 'ci', `${name}-values.yaml`)];
  const variants = {
    default: ['--set', `jwtSecret.value=${publicSecret}`],
    full: values('full'),
    keda: values('keda'),
  };
  for (const [name, args] of Object.entries(variants)) {
    await test(`the chart renders to docker/helm/rendered/${name}.yaml, which is valid`, () => {
      const text = render(args);
      const file = join(renderedFolder, `${name}.yaml`);
      if (process.argv.includes('--write')) {
        mkdirSync(renderedFolder, { recursive: true });
        writeFileSync(file, text);
      }
      validObjects(text);
      if (readFileSync(file, 'utf8') !== text)
        throw new Error(`${file} differs: npm run test:deploy -- --write`);
    });
  }
  await test('the chart generates a secret of its own at each first install', () => {
    const secretOf = () => objectsOf(render([])).find(({ kind }) => kind === 'Secret').data.secret;
    const [one, other] = [secretOf(), secretOf()];
    if (one === other || Buffer.from(one, 'base64').length < 32) throw new Error('not random, or too short');
  });
  await test('helm lint has no complaint', () => {
    const { status, output } = run(helm, ['lint', '--strict', chart]);
    if (status !== 0) throw new Error(output);
  });
  await test('the longest name of a release leaves names that Kubernetes accepts', () => {
    for (const { metadata } of validObjects(render(['--set', 'fullnameOverride='], longName.slice(0, 53))))
      if (metadata.name.length > 63 || metadata.name.endsWith('-')) throw new Error(metadata.name);
  });
  const refusal = (args, name) => {
    try {
      render(args, name);
    } catch ({ message }) {
      return message;
    }
    return 'it was rendered';
  };
  await test('the chart refuses a release whose name is none of a Service', () => {
    const message = refusal(['--set', 'fullnameOverride='], '1.chat');
    if (!message.includes('fullnameOverride')) throw new Error(message);
  });
  for (const [given, message] of Object.entries(refused))
    await test(`the chart refuses ${given} with "${message}"`, () => {
      const output = refusal(['--set', given]);
      if (!output.includes(message)) throw new Error(output);
    });
  for (const [given, [found, wanted]] of Object.entries(accepted))
    await test(`the chart takes ${given}`, () => {
      const value = found(validObjects(render(['--set', given])));
      if (!isDeepStrictEqual(value, wanted)) throw new Error(`${JSON.stringify(value)} was rendered`);
    });
}

module.exports = { testChart };
