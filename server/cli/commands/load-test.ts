import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { readCount, readCountTo, readNumber, readTime } from '../arguments.js';
import { usageError } from '../cli-error.js';
import type { LoadOptions } from '../load-test/load-run.js';
import { configOf, runWithService, withTarget, type ServiceOptions } from '../run-command.js';

/** `rtc load-test` */
export function loadTestCommand(): Command {
  const command = new Command('load-test')
    .description(
      'put load on a service, check that nothing is lost, doubled or out of order, and measure latency',
    )
    .addOption(
      new Option('--connections <n>', 'clients, at most 60000 from one machine')
        .default(100)
        .argParser(readCountTo(60_000)),
    )
    .addOption(new Option('--rate <n>', 'messages per second and client').default(1).argParser(readShare))
    .addOption(
      new Option('--duration <time>', 'how long they publish').default(10_000, '10s').argParser(readTime),
    )
    .addOption(
      new Option('--ramp <time>', 'time in which the clients connect; else 300 in a second').argParser(
        readTime,
      ),
    )
    .addOption(
      new Option('--topics <n>', 'topics; else as many as --subscribers-per-topic needs').argParser(
        readCount,
      ),
    )
    .addOption(
      new Option('--subscribers-per-topic <n>', 'clients that share a topic')
        .default(10)
        .argParser(readCount),
    )
    .addOption(
      new Option('--transport <wire>', 'JSON frames of /ws, or Socket.IO on a WebSocket')
        .choices(['ws', 'socketio'])
        .default('ws'),
    )
    .addOption(
      new Option('--workers <n>', 'threads of the tester')
        .default(Math.max(1, Math.min(4, availableParallelism())), 'one for each core, at most 4')
        .argParser(readCount),
    )
    .addOption(new Option('--max-loss <percent>', 'threshold').default(0).argParser(readShare))
    .addOption(new Option('--max-p99 <time>', 'threshold of the latency').argParser(readTime))
    .addOption(
      new Option('--max-errors <n>', 'threshold of refusals and lost connections')
        .default(0)
        .argParser(readNumber),
    )
    .option('--report <file>', 'write a page with charts')
    .addHelpText(
      'after',
      '\nEnds with 1 if a threshold is crossed, a message came twice or out of order, or a client could not connect.',
    );
  return withTarget(command, 'user').action((options: ServiceOptions & LoadOptions) =>
    runWithService(command, options, 'user', async (context) => {
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

function readShare(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0) || value > 1_000_000)
    throw new InvalidArgumentError('It is a number from 0.');
  return value;
}
