import type { Argument, Command, Option } from 'commander';

/** Options that many commands have, and the heading in docs/cli.md under which they are described. */
const shared: Readonly<Record<string, string>> = {
  '--url': 'A service',
  '--token': 'A service',
  '--profile': 'A service',
  '--timeout': 'A service',
  '--json': 'Output',
};

/** The reference of `docs/cli.md`: every command with its arguments and options, from their definitions. */
export function commandReference(program: Command): string {
  return leavesOf(program)
    .map(({ path, command }) => reference(path, command))
    .join('\n\n');
}

/** Commands that do something, with their paths: `rtc token create`. */
export function leavesOf(
  command: Command,
  path: string = command.name(),
): { readonly path: string; readonly command: Command }[] {
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands.flatMap((one) => leavesOf(one, `${path} ${one.name()}`));
}

function reference(path: string, command: Command): string {
  const isService = ['--profile', '--timeout'].every((name) =>
    command.options.some(({ long }) => long === name),
  );
  const own = command.options.filter(({ long }) => !isShared(long, isService));
  const rows = [...command.registeredArguments.map(argumentRow), ...own.map(optionRow)];
  const named = command.options
    .filter(({ long }) => isShared(long, isService))
    .map(({ long }) => `\`${long}\``);
  return [
    `### ${path}`,
    '',
    `${capital(command.description())}.`,
    '',
    '```text',
    `${path} ${command.usage()}`,
    '```',
    ...(rows.length === 0 ? [] : ['', '| | default | meaning |', '|---|---|---|', ...rows]),
    ...(named.length === 0 ? [] : ['', `Also ${named.join(', ')}: see [above](#what-all-commands-share).`]),
  ].join('\n');
}

/** `rtc connect` and `rtc sessions` have a `--token` of their own. */
function isShared(long: string | undefined, isService: boolean): boolean {
  return long !== undefined && long in shared && (isService || long === '--json');
}

function argumentRow(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  const form = argument.required ? `<${name}>` : `[${name}]`;
  return row(
    form,
    initialOf(argument.defaultValue, undefined),
    meaningOf(argument.description, argument.argChoices),
  );
}

function optionRow({
  flags,
  defaultValue,
  defaultValueDescription,
  description,
  argChoices,
}: Option): string {
  return row(flags, initialOf(defaultValue, defaultValueDescription), meaningOf(description, argChoices));
}

function row(form: string, initial: string, meaning: string): string {
  return `| \`${form}\` | ${initial} | ${meaning.replaceAll('|', '\\|')} |`;
}

function initialOf(value: unknown, inWords: string | undefined): string {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '';
  return `\`${inWords ?? (Array.isArray(value) ? value.join(' ') : String(value))}\``;
}

function meaningOf(description: string, choices: readonly string[] | undefined): string {
  return choices === undefined
    ? description
    : `${description}: ${choices.map((one) => `\`${one}\``).join(', ')}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
