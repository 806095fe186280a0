// Renders the Helm chart with Helm, compares with docker/helm/rendered/ and validates; builds what the image
// holds and runs it; runs PM2 with the built service; runs Caddy and Traefik with clients behind them.
//
//   node scripts/test-deploy.cjs           checks
//   node scripts/test-deploy.cjs pm2       checks only this part: chart, image, pm2, proxies
//   node scripts/test-deploy.cjs --write   writes docker/helm/rendered/ anew, and checks
//
// Helm comes from the PATH, or is built from its Go module, as Caddy is; PM2 comes from npm. All are kept in .tmp/. What cannot be had is
// said, and counts as failed. Traefik is only run where it is on the PATH: it cannot be built from its module alone.
const { spawn, spawnSync } = require('node:child_process');
const {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} = require('node:fs');
const { tmpdir } = require('node:os');
const { basename, join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { testChart } = require('./deploy-chart.cjs');
const { freePort } = require('./free-port.cjs');
const { pm2Program } = require('./pm2.cjs');

const helmVersion = 'v3.22.0';
/** Debian's Caddy is older than what docker/proxies/Caddyfile needs. */
const caddyVersion = 'v2.11.9';
const root = join(__dirname, '..');
const tools = join(root, '.tmp', 'deploy');

let passed = 0;
let failed = 0;

async function test(name, body) {
  try {
    await body();
    passed++;
    console.log(`  ok: ${name}`);
  } catch (error) {
    failed++;
    console.error(`  FAILED: ${name}\n${error.message}`);
  }
}

function run(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', ...options });
  return { status, stdout: stdout ?? '', output: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}` };
}

/** A program that is built from its Go module, once. */
function builtFromGo(name, path, version) {
  const built = join(tools, `${name}-${version}`, name);
  if (!existsSync(built)) {
    console.log(`building ${name} ${version} from its Go module; this takes minutes …`);
    const environment = { ...process.env, GOBIN: join(built, '..'), CGO_ENABLED: '0' };
    const { status, output } = run('go', ['install', `${path}@${version}`], { env: environment });
    if (status !== 0) throw new Error(`${name} could not be built: ${output}`);
  }
  return built;
}

function helmProgram() {
  const isOnPath = run('helm', ['version', '--short']).status === 0;
  return isOnPath ? 'helm' : builtFromGo('helm', 'helm.sh/helm/v3/cmd/helm', helmVersion);
}

async function until(condition, what) {
  for (const end = Date.now() + 60_000; !(await condition()); await delay(200))
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
}

/** The stages of docker/Dockerfile as plain processes: what it copies is enough to build, and what it keeps is enough to run. */
async function testImage() {
  const directory = mkdtempSync(join(tmpdir(), 'rtc-image-'));
  chmodSync(directory, 0o755);
  const [build, app] = [join(directory, 'build'), join(directory, 'app')];
  const dockerfile = readFileSync(join(root, 'docker', 'Dockerfile'), 'utf8');
  const [buildStage, , lastStage] = dockerfile.split(/^FROM .*$/m).slice(1);
  /** Copies from the checkout what a stage copies from its context. */
  const copy = (stage, target) => {
    for (const [, list] of stage.matchAll(/^COPY (?:--chmod=\d+ )?(?!--)(.+)$/gm)) {
      const names = list.split(' ');
      const place = names.pop();
      for (const name of names) {
        const isFolder = place.endsWith('/');
        cpSync(join(root, name), join(target, place, isFolder ? basename(name) : ''), { recursive: true });
      }
    }
  };
  const succeed = (program, args, cwd) => {
    const { status, output } = run(program, args, { cwd });
    if (status !== 0) throw new Error(output);
  };
  let service;
  try {
    await test('the image is built from what its Dockerfile copies', () => {
      copy(buildStage, build);
      symlinkSync(join(root, 'node_modules'), join(build, 'node_modules'));
      succeed(process.execPath, ['scripts/build.cjs'], build);
      copy(lastStage, app);
      cpSync(join(root, 'package-lock.json'), join(app, 'package-lock.json'));
      succeed('npm', ['ci', '--omit=dev', '--ignore-scripts'], app);
      for (const folder of ['server', 'shared'])
        cpSync(join(build, 'dist', folder), join(app, 'dist', folder), { recursive: true });
    });
    await test('the image runs as another user than its owner, is healthy, and ends with 0', async () => {
      const port = String(await freePort());
      const { PATH } = process.env;
      // As root the user of the image is tried; whoever else runs this owns the files.
      const user = process.getuid() === 0 ? { uid: 1000, gid: 1000 } : {};
      service = spawn(join(app, 'docker', 'start.sh'), [], {
        cwd: '/',
        env: { PATH, PORT: port, NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32), HOST: '127.0.0.1' },
        stdio: ['ignore', 'ignore', 'inherit'],
        ...user,
      });
      let problem;
      service.once('error', (error) => (problem = error));
      const check = JSON.parse(/^ +CMD (\[.+\])$/m.exec(dockerfile)[1]).slice(1);
      const isHealthy = () => run(process.execPath, check, { env: { PORT: port } }).status === 0;
      await until(() => {
        if (problem !== undefined) throw problem;
        return service.exitCode !== null || isHealthy();
      }, 'it is healthy');
      service.kill('SIGTERM');
      await until(() => service.exitCode !== null || service.signalCode !== null, 'it has ended');
      if (service.exitCode !== 0) throw new Error(`it ended with ${service.exitCode}`);
    });
  } finally {
    service?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

async function testPm2() {
  const program = pm2Program();
  const home = mkdtempSync(join(tmpdir(), 'rtc-pm2-'));
  const redisPort = await freePort();
  const port = await freePort();
  const redis = spawn('redis-server', ['--port', String(redisPort), '--save', ''], { stdio: 'ignore' });
  const { HOME, PATH } = process.env;
  const alone = {
    HOME,
    PATH,
    PM2_HOME: home,
    PORT: String(port),
    HOST: '127.0.0.1',
    JWT_SECRET: 'x'.repeat(32),
  };
  const environment = { ...alone, REDIS_URL: `redis://127.0.0.1:${redisPort}` };
  const pm2 = (args, env = environment) =>
    run(process.execPath, [program, ...args], { cwd: root, env, timeout: 120_000 });
  const pm2Succeeds = (...args) => {
    const { status, output } = pm2(args);
    if (status !== 0) throw new Error(output);
  };
  const processes = () => JSON.parse(pm2(['jlist']).stdout.replace(/^[^[]*(?=\[)/, ''));
  const online = () => processes().filter(({ pm2_env: { status } }) => status === 'online');
  const logs = () => pm2(['logs', '--nostream', '--raw', '--lines', '1000']).output;
  try {
    await test('PM2 starts two replicas that listen', async () => {
      pm2Succeeds('start', 'ecosystem.config.js');
      await until(() => online().length === 2, 'two replicas');
      const response = await fetch(`http://127.0.0.1:${port}/health/ready`);
      if (!response.ok) throw new Error(`not ready: ${response.status}`);
    });
    await test("pm2 logs shows the service's own lines", () => {
      const listening = logs().match(/\{"level":"INFO".*"message":"Listening"/g) ?? [];
      if (listening.length !== 2) throw new Error(logs());
    });
    await test('pm2 reload replaces every replica, which ends by itself', async () => {
      const before = new Set(processes().map(({ pid }) => pid));
      pm2Succeeds('reload', 'all');
      await until(
        () => online().length === 2 && online().every(({ pid }) => !before.has(pid)),
        'two new replicas',
      );
      await until(
        () => (logs().match(/"message":"Stopped"/g) ?? []).length === 2,
        'both say that they have stopped',
      );
    });
    await test('pm2 scale adds a replica', async () => {
      pm2Succeeds('scale', 'realtime-communication', '3');
      await until(() => online().length === 3, 'three replicas');
    });
    await test('pm2 scale removes a replica, which drains and ends by itself', async () => {
      const ends = () => (logs().match(/"message":"Stopped"/g) ?? []).length;
      const endsBefore = ends();
      pm2Succeeds('scale', 'realtime-communication', '2');
      await until(() => processes().length === 2 && online().length === 2, 'two replicas');
      await until(() => ends() === endsBefore + 1, 'one says that it has stopped');
      if (logs().includes('by force')) throw new Error(logs());
    });
    // The daemon hands its own environment on too.
    pm2(['kill']);
    await test('two replicas without Redis are refused, with the remedy', () => {
      const { output } = pm2(['start', 'ecosystem.config.js'], { ...alone, REPLICAS: '2' });
      if (!output.includes('set REDIS_URL') || processes().length > 0) throw new Error(output);
    });
    await test('pm2 reload without Redis replaces the replica', async () => {
      pm2(['start', 'ecosystem.config.js'], alone);
      await until(() => online().length === 1, 'one replica');
      const [{ pid }] = online();
      pm2(['reload', 'all'], alone);
      await until(() => online().length === 1 && online()[0].pid !== pid, 'another one');
      const response = await fetch(`http://127.0.0.1:${port}/health/ready`);
      if (!response.ok) throw new Error(`not ready: ${response.status}`);
    });
    await test('pm2 scale without Redis leaves one replica, and says why', async () => {
      pm2(['scale', 'realtime-communication', '2'], alone);
      await until(() => logs().includes('several replicas need Redis'), 'the reason in the log');
      await until(() => online().length === 1 && processes().length === 2, 'the second one has stopped');
    });
    pm2(['kill']);
    await test('pm2 reload under load loses, doubles and mixes up nothing, for clients of long-polling too', () => {
      const crowd = ['--clients', '60', '--polling', '12', '--window', '5', '--topics', '4'];
      const { status, output } = run(process.execPath, [join(__dirname, 'bench-reload.cjs'), ...crowd], {
        env: { HOME, PATH },
        timeout: 180_000,
      });
      if (status !== 0) throw new Error(output);
    });
    await test('pm2-runtime shows the log, and ends with 0 on SIGTERM', async () => {
      const runtime = spawn(process.execPath, [`${program}-runtime`, 'ecosystem.config.js'], {
        cwd: root,
        env: alone,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let output = '';
      runtime.stdout.on('data', (data) => (output += data));
      try {
        await until(() => output.includes('"message":"Listening"'), 'it listens');
        runtime.kill('SIGTERM');
        await until(() => runtime.exitCode !== null, 'it has ended');
        if (runtime.exitCode !== 0 || !output.includes('"message":"Stopped"')) throw new Error(output);
      } finally {
        runtime.kill('SIGKILL');
      }
    });
  } finally {
    pm2(['kill']);
    redis.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  }
}

/** The tests of nginx and HAProxy in `npm test`, with the proxies that Debian does not have. */
async function testProxies() {
  const caddy = builtFromGo('caddy', 'github.com/caddyserver/caddy/v2/cmd/caddy', caddyVersion);
  const names = ['caddy'];
  if (run('traefik', ['version']).status === 0) names.push('traefik');
  else console.log('  Traefik is not on the PATH: docker/proxies/traefik.yaml is not checked');
  const env = { ...process.env, PATH: `${join(caddy, '..')}:${process.env.PATH}` };
  const mocha = require.resolve('mocha/bin/mocha.js');
  for (const name of names)
    await test(`clients reach two replicas through ${name}`, () => {
      const { status, output } = run(
        process.execPath,
        [mocha, '--exit', 'test/integration/proxies.test.ts'],
        { cwd: root, env: { ...env, RTC_TEST_PROXIES: name }, timeout: 180_000 },
      );
      if (status !== 0) throw new Error(output);
    });
}

async function main() {
  mkdirSync(tools, { recursive: true });
  const parts = {
    chart: async () => testChart({ test, run, helm: helmProgram() }),
    image: testImage,
    pm2: testPm2,
    proxies: testProxies,
  };
  const only = process.argv.slice(2).filter((argument) => argument in parts);
  for (const [name, part] of Object.entries(parts).filter(
    ([name]) => only.length === 0 || only.includes(name),
  ))
    await part().catch((error) => {
      failed++;
      console.error(`  FAILED: ${name}: ${error.message}`);
    });
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

void main();
