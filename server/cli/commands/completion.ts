import { Argument, Command } from 'commander';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** `rtc completion`: scripts that complete commands and options. They are made from the commands themselves. */
export function completionCommand(program: Command): Command {
  return new Command('completion')
    .description('print a script that completes commands and options')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText(
      'after',
      [
        '',
        'bash: source <(rtc completion bash)',
        'zsh:  source <(rtc completion zsh)',
        'fish: rtc completion fish | source',
      ].join('\n'),
    )
    .action((shell: Shell) => console.log(script(shell, wordsBelow(program))));
}

/** The words that can follow each command: `rtc config` → `print check explain --help`. */
type Words = ReadonlyMap<string, readonly string[]>;

function wordsBelow(program: Command): Words {
  const words = new Map<string, string[]>();
  const add = (command: Command, path: string) => {
    const options = command.options.flatMap(({ long }) => long ?? []);
    const below = command.commands.map((one) => one.name());
    words.set(path, [...below, ...options, '--help']);
    for (const one of command.commands) add(one, `${path} ${one.name()}`);
  };
  add(program, 'rtc');
  return words;
}

function script(shell: Shell, words: Words): string {
  return { bash, zsh, fish }[shell](words);
}

function cases(words: Words): string {
  return [...words].map(([path, below]) => `    '${path}') words='${below.join(' ')}' ;;`).join('\n');
}

/** The longest known path of commands in what was typed, then its words. */
const bash = (words: Words) => `_rtc() {
  local path=rtc word words=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " $(_rtc_words "$path") " in *" $word "*) [[ $word == -* ]] || path="$path $word" ;; esac
  done
  COMPREPLY=($(compgen -W "$(_rtc_words "$path")" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
_rtc_words() {
  local words=
  case "$1" in
${cases(words)}
  esac
  printf %s "$words"
}
complete -o default -F _rtc rtc`;

const zsh = (words: Words) => `autoload -U +X bashcompinit && bashcompinit
${bash(words)}`;

const fish = (words: Words) => `function __rtc_words
  set -l path rtc
  for word in (commandline -opc)[2..]
    if contains -- $word (__rtc_below "$path"); and not string match -q -- '-*' $word
      set path "$path $word"
    end
  end
  __rtc_below "$path"
end
function __rtc_below
  switch $argv[1]
${[...words].map(([path, below]) => `    case '${path}'\n      printf '%s\\n' ${below.join(' ')}`).join('\n')}
  end
end
complete -c rtc -f -a '(__rtc_words)'`;
