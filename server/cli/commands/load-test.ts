import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { numberOption, readText, timeOption, wholeOption } from '../arguments.js';
import { usageError } from '../cli-error.js';
import { assertSensible, type LoadOptions } from '../load-test/load-options.js';
import { configOf, runWithService, withTarget, type ServiceOptions } from '../run-command.js';

/** One machine has about so many ports for one address. */
const clientsMax = 60_000;

/** `rtc load-test` */
export function loadTestCommand(): Command {
  const command = new Command('load-test')
    .description(
      'put load on a service, check that nothing is lost, doubled or out of order, and measure latency',
    )
    .addOption(
      wholeOption('--connections <n>', 'clients of this machine', { least: 1, most: clientsMax }).default(
        100,
      ),
    )
    .addOption(
      numberOption('--rate <n>', 'messages per second and client', { least: 0.000_1, most: 10_000 }).default(
        1,
      ),
    )
    .addOption(
      timeOption('--duration <time>', 'how long they publish', {
        isInSeconds: true,
      }).default(10_000, '10s'),
    )
    .addOption(
      timeOption('--ramp <time>', 'time in which the clients connect; else 300 in a second', {
        least: '0s',
        isInSeconds: true,
      }),
    )
    .addOption(
      wholeOption('--topics <n>', 'topics; else as many as --subscribers-per-topic needs', {
        least: 1,
        most: clientsMax,
      }),
    )
    .addOption(
      wholeOption('--subscribers-per-topic <n>', 'clients that share a topic', {
        least: 1,
        most: clientsMax,
      }).default(10),
    )
    .addOption(
      new Option('--transport <wire>', 'JSON frames of /ws, or Socket.IO on a WebSocket')
        .choices(['ws', 'socketio'])
        .default('ws'),
    )
    .addOption(
      wholeOption('--workers <n>', 'threads of the tester, of which each has at least a topic', {
        least: 1,
        most: 64,
      }).default(Math.max(1, Math.min(4, availableParallelism())), 'one for each core, at most 4'),
    )
    .addOption(numberOption('--max-loss <percent>', 'threshold of loss', { least: 0, most: 100 }).default(0))
    .addOption(timeOption('--max-p99 <time>', 'threshold of the latency', { least: '0ms' }))
    .addOption(
      wholeOption('--max-errors <n>', 'threshold of refusals and lost connections', {
        least: 0,
        most: 1_000_000_000,
      }).default(0),
    )
    .option('--report <file>', 'write a page with charts', readText)
    .addHelpText(
      'after',
      '\nEnds with 1 if a threshold is crossed, a message came twice or out of order, or a client could not connect.',
    );
  return withTarget(command, 'user').action((options: ServiceOptions & LoadOptions) =>
    runWithService(command, options, 'user', async (context) => {
      assertSensible(options, (name) => command.getOptionValueSource(name) === 'cli');
      const { loadTest } = await import('../load-test/load-run.js');
      const { token } = context.target;
      if (token === undefined)
        throw usageError(
          'there is no token',
          'set JWT_SECRET: each client gets a user of its own; or TOKEN: all are one user',
        );
      const signer =
        context.target.tokenSource === 'the secret of the settings'
          ? await import('../target/signed-token.js')
          : undefined;
      const config = configOf(command);
      const ttlSecs = 3600 + Math.ceil((options.duration + (options.ramp ?? 0)) / 1000);
      const sign = signer?.tokenSigner({ config, ttlSecs });
      return loadTest(options, (i) => sign?.({ sub: `load_test_${i}`, roles: ['user'] }) ?? token, context);
    }),
  );
}
