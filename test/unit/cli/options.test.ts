import assert from 'node:assert/strict';
import { CommanderError, type Command, type Option } from 'commander';
import { leavesOf } from '../../../server/cli/describe-commands.js';
import { program } from '../../../server/cli/program.js';

/** Placeholders of options whose values are numbers or times. */
const placeholders = /<(n|time|percent|epoch:sequence)>/;
const wrong = [
  '',
  ' ',
  'NaN',
  'Infinity',
  '-1',
  '1e9',
  '0x10',
  '1,5',
  '1.5.5',
  '99999999999999999999',
  '5 s',
];
/** A negative time to live makes a token that has expired. */
const negative = new Set(['--expires']);

const commands = leavesOf(program());
const numeric = commands.flatMap(({ path, command }) =>
  command.options
    .filter(({ flags }) => placeholders.test(flags))
    .map((option) => ({ path, command, option, name: option.long! })),
);

/** The error of commander for one value of one option. No command runs. */
function refusalOf(path: string, option: string, value: string): CommanderError | undefined {
  const rtc = program();
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (command.commands.length === 0) command.action(() => {});
    command.commands.forEach(quiet);
  };
  quiet(rtc);
  const { command } = leavesOf(rtc).find((one) => one.path === path)!;
  const given = command.registeredArguments.map(
    ({ argChoices, description }) =>
      argChoices?.[0] ?? (description === 'id of the message' ? '7b4c1a3e-6a5d-4c0c-9b0e-2d0a1f0e9c11' : 'x'),
  );
  const needed = command.options
    .filter(({ mandatory, long }) => mandatory && long !== option)
    .flatMap(({ long }) => [long!, '1']);
  try {
    rtc.parse([...path.split(' ').slice(1), ...given, ...needed, `${option}=${value}`], { from: 'user' });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof CommanderError, `${path} ${option} ${value}: ${String(error)}`);
    return error;
  }
}

const limitsOf = ({ description }: Option) => /\((\S+) to (\S+)\)$/.exec(description)?.slice(1);

describe('[CLI] options with numbers and times', () => {
  it('are known to this test, each of them', () => {
    assert.ok(numeric.length > 50, `${numeric.length}`);
    for (const { path, command } of commands)
      for (const { flags, long } of command.options)
        assert.doesNotMatch(
          flags,
          /<(number|count|ms|secs|seconds|bytes|rate|limit|share)>/,
          `${path} ${long}`,
        );
  });

  it('refuse what is no number in their limits, with their name, before the command runs', () => {
    for (const { path, name } of numeric) {
      for (const value of wrong) {
        if (value === '-1' && negative.has(name)) continue;
        const error = refusalOf(path, name, value);
        assert.equal(error?.code, 'commander.invalidArgument', `${path} ${name}=${value}`);
        assert.ok(error!.message.includes(name), error!.message);
        assert.match(error!.message, / It (is|has) .+\.$/, error!.message);
      }
    }
  });

  it('name their limits in the help and in the refusal, and take both limits', () => {
    for (const { path, option, name } of numeric) {
      if (['--since', '--expires'].includes(name)) continue;
      const limits = limitsOf(option);
      assert.ok(limits !== undefined, `${path} ${name}: ${option.description}`);
      for (const limit of limits)
        assert.equal(refusalOf(path, name, limit), undefined, `${path} ${name}=${limit}`);
      const [, most] = limits as [string, string];
      const beyond = most.replace(/^\d+/, (number) => String(Number(number) + 1));
      const message = refusalOf(path, name, beyond)?.message ?? '';
      assert.ok(message.includes(`from ${limits[0]} to ${most}`), `${path} ${name}=${beyond}: ${message}`);
    }
  });

  it('take no fraction where only whole numbers are possible', () => {
    for (const { path, name, option } of numeric) {
      const isFraction = ['--rate', '--max-loss'].includes(name);
      const error = refusalOf(path, name, '1.5');
      assert.equal(error === undefined, isFraction, `${path} ${option.flags}`);
    }
  });
});

describe('[CLI] a number without a unit', () => {
  it('is a time in seconds for a load test, and refused elsewhere', () => {
    for (const { path, name, option } of numeric) {
      if (!option.flags.includes('<time>') || negative.has(name)) continue;
      const isTaken = ['--duration', '--ramp'].includes(name);
      assert.equal(refusalOf(path, name, '10') === undefined, isTaken, `${path} ${name}`);
    }
  });
});

describe('[CLI] options with texts that name something', () => {
  it('are not empty', () => {
    for (const { path, command } of commands)
      for (const { flags, long, variadic } of command.options) {
        if (!/<(url|token|id|name|file|topic|key|version)>/.test(flags) || variadic) continue;
        if (path.startsWith('rtc config ')) continue;
        assert.equal(refusalOf(path, long!, '')?.code, 'commander.invalidArgument', `${path} ${long}`);
      }
  });
});
