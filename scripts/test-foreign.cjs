// Drives clients in other languages against a running service: each subscribes to a topic, publishes ten plain messages, ten that
// ask for delivery confirmations, and ten plain ones, and has to receive all thirty in their order. A client whose tools are not
// installed is skipped, and named. The libraries come from their registries, in pinned versions; what is built is kept in .tmp/foreign/.
//
//   npm run test:foreign            all
//   npm run test:foreign -- java    this one only
const { spawn, spawnSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { delimiter, join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const jwt = require('jsonwebtoken');
const { freePort } = require('./free-port.cjs');

const root = join(__dirname, '..');
const sources = join(root, 'test', 'foreign');
const built = join(root, '.tmp', 'foreign');
const path = (...parts) => join(built, ...parts);
const clientLimitMs = 120_000;
const startLimitMs = 20_000;

/** Each with the tools it needs, the commands that build it, and how it is run. `confirms`: it can acknowledge events. */
const clients = [
  {
    name: 'java',
    library: 'io.socket:socket.io-client 2.1.2',
    tools: ['java', 'mvn'],
    build: [
      [
        'mvn',
        '-q',
        '-B',
        '-f',
        join(sources, 'java', 'pom.xml'),
        `-DbuildDirectory=${path('java')}`,
        'compile',
      ],
    ],
    run: ['java', '-cp', [path('java', 'classes'), path('java', 'lib', '*')].join(delimiter), 'Foreign'],
    confirms: true,
  },
  {
    name: 'rust',
    library: 'rust_socketio 0.6.0',
    tools: ['cargo'],
    build: [
      [
        'cargo',
        'build',
        '--quiet',
        '--locked',
        '--manifest-path',
        join(sources, 'rust', 'Cargo.toml'),
        '--target-dir',
        path('rust'),
      ],
    ],
    run: [path('rust', 'debug', 'foreign-rust')],
    // The library has no means to acknowledge an event.
    confirms: false,
  },
  {
    name: 'python',
    library: 'python-socketio 5.18.1',
    tools: ['python3'],
    build: [
      ['python3', '-m', 'venv', path('python')],
      [
        path('python', 'bin', 'pip'),
        'install',
        '--quiet',
        '--disable-pip-version-check',
        '-r',
        join(sources, 'python', 'requirements.txt'),
      ],
    ],
    run: [path('python', 'bin', 'python'), join(sources, 'python', 'foreign.py')],
    confirms: true,
  },
];

main().catch((error) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

async function main() {
  const given = process.argv.slice(2);
  const unknown = given.find((name) => !clients.some((client) => client.name === name));
  if (unknown !== undefined)
    throw new Error(`there is no client ${unknown}: ${clients.map(({ name }) => name).join(', ')}`);
  const chosen = given.length === 0 ? clients : clients.filter(({ name }) => given.includes(name));
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const service = await startService();
  try {
    for (const client of chosen) {
      const missing = client.tools.filter((tool) => !isInstalled(tool));
      let text;
      if (missing.length > 0) {
        counts.skipped++;
        text = `skipped: ${missing.join(' and ')} not found`;
      } else {
        const problem = build(client) ?? (await drive(client, service));
        counts[problem === undefined ? 'passed' : 'failed']++;
        const confirmed = client.confirms ? ', 10 confirmed' : ' (this library cannot confirm)';
        text = problem === undefined ? `30 of 30 received in order${confirmed}` : `failed: ${problem}`;
      }
      console.log(`${client.name} (${client.library}): ${text}`);
    }
  } finally {
    service.stop();
  }
  console.log(`${counts.skipped} skipped`);
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  process.exitCode = counts.failed > 0 ? 1 : 0;
}

/** Starts the service in memory, on a free port. */
async function startService() {
  const secret = randomBytes(32).toString('hex');
  const port = await freePort();
  const child = spawn(process.execPath, [join(root, 'dist', 'server', 'main.js')], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: String(port),
      JWT_SECRET: secret,
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  for (const until = Date.now() + startLimitMs; ; await delay(50)) {
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (answer?.ok) break;
    if (child.exitCode !== null || Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error('the service does not start');
    }
  }
  const token = jwt.sign({ sub: 'foreign', roles: ['user'] }, secret, { expiresIn: '1h' });
  return { url, token, stop: () => child.kill('SIGTERM') };
}

/** Undefined, or why it cannot be built. */
function build(client) {
  for (const [program, ...args] of client.build) {
    const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0) return `it cannot be built: ${error?.message ?? lastLines(stderr + stdout)}`;
  }
  return undefined;
}

/** Runs the client. Undefined, or what went wrong. */
function drive({ name, run: [program, ...args], confirms }, { url, token }) {
  return new Promise((resolve) => {
    const child = spawn(program, [...args, url, token, `foreign/${name}`], { timeout: clientLimitMs });
    let output = '';
    let errors = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (errors += data));
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) =>
      resolve(code === 0 ? problemIn(output, confirms) : lastLines(errors) || `exit code ${code}`),
    );
  });
}

function problemIn(output, confirms) {
  const { received, confirmed } = JSON.parse(output.trim().split('\n').at(-1));
  const expected = Array.from({ length: 30 }, (_, n) => n);
  if (JSON.stringify(received) !== JSON.stringify(expected)) return `received ${JSON.stringify(received)}`;
  if (confirms && confirmed !== 10) return `${confirmed} of 10 confirmed`;
  return undefined;
}

function isInstalled(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function lastLines(text) {
  return text.trim().split('\n').slice(-3).join(' | ');
}
