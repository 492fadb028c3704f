import type { Command } from './arguments.ts';
import type { Flag } from './flag.ts';

/**
 * Scripts for completion, which have all commands and flags in them: a key press starts no process. (Those of yargs start one, and list
 * flags where a file belongs.) Where a value or a word is a file, or may be anything, shells complete names of files.
 */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** The script for each shell, given all commands. */
export const SCRIPTS: Record<(typeof SHELLS)[number], (commands: readonly Command[]) => string> = {
  bash: (commands) => bashScript(commands.map(described)),
  zsh: (commands) => zshScript(commands.map(described)),
  fish: (commands) => fishScript(commands.map(described)),
};

interface DescribedFlag {
  /** With dashes. */
  name: string;
  about: string;
  /** What may follow it; null: nothing. An empty list: anything. */
  values: readonly string[] | null;
}

interface DescribedCommand {
  name: string;
  about: string;
  flags: DescribedFlag[];
  /** Words that may follow the command; an empty list: anything. */
  words: readonly string[];
}

/** A description up to its first semicolon or bracket. */
const shortened = (text = '') => text.split(/; | \(|: /)[0];

function described({ command, describe, builder, choices = [] }: Command): DescribedCommand {
  const flags = Object.entries(builder).filter(([, { hidden }]) => !hidden);
  const help: DescribedFlag = { name: '--help', about: 'show help', values: null };
  return {
    name: command.split(' ')[0],
    about: shortened(describe),
    flags: [...flags.flatMap(([name, flag]) => spellings(name, flag)), help],
    words: choices,
  };
}

function spellings(name: string, flag: Flag): DescribedFlag[] {
  const about = shortened(flag.describe);
  const isOn = flag.default === true || flag.defaultDescription === 'true';
  const off = { name: `--no-${name}`, about: `not: ${about}`, values: null };
  if (flag.type === 'boolean') return isOn ? [off] : [{ name: `--${name}`, about, values: null }];
  const values = (flag.choices ?? []).map(String);
  const on = [name, ...[flag.alias ?? []].flat()].map((own) => ({ name: `--${own}`, about, values }));
  return flag.canBeOff ? [...on, off] : on;
}

const names = (items: readonly { name: string }[]) => items.map(({ name }) => name).join(' ');

/** The cases of bash and zsh for what follows a flag: `complete` makes the command for some values, '' for any. */
const cases = (commands: readonly DescribedCommand[], complete: (values: string) => string) =>
  commands.flatMap(({ name, flags }) =>
    flags.flatMap((flag) =>
      flag.values ? `    '${name} ${flag.name}') ${complete(flag.values.join(' '))} ;;` : [],
    ),
  );

/** Also for the bash 3.2 of macOS. */
const bashScript = (commands: readonly DescribedCommand[]) => `# completion of dpmesh in bash
_dpmesh() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words=''
  COMPREPLY=()
  if [ "$current" = '=' ]; then
    current=''
  elif [ "$previous" = '=' ]; then
    previous="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names(commands)} --help --version' -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]} $previous" in
${cases(commands, (values) => (values ? `COMPREPLY=($(compgen -W '${values}' -- "$current")); return` : 'return')).join('\n')}
  esac
  case "\${COMP_WORDS[1]} $current" in
${commands
  .flatMap(({ name, flags, words }) => [
    `    '${name} -'*) words='${names(flags)}' ;;`,
    ...(words.length ? [`    '${name} '*) words='${words.join(' ')}' ;;`] : []),
  ])
  .join('\n')}
  esac
  [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -o bashdefault -F _dpmesh dpmesh
`;

/** In single quotes, for bash and zsh. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

const zshScript = (commands: readonly DescribedCommand[]) => `#compdef dpmesh
# completion of dpmesh in zsh
_dpmesh() {
  local -a items
  if (( CURRENT == 2 )); then
    items=(${commands.map(({ name, about }) => quoted(`${name}:${about}`)).join(' ')})
    _describe command items
    return
  fi
  case "$words[2] $words[CURRENT-1]" in
${cases(commands, (values) => (values ? `compadd -- ${values}; return` : '_files; return')).join('\n')}
  esac
  case "$words[2] $words[CURRENT]" in
${commands
  .flatMap(({ name, flags, words }) => [
    `    '${name} -'*) items=(${flags.map((flag) => quoted(`${flag.name}:${flag.about}`)).join(' ')}); _describe -o flag items ;;`,
    ...(words.length ? [`    '${name} '*) compadd -- ${words.join(' ')} ;;`] : []),
  ])
  .join('\n')}
    *) _files ;;
  esac
}
(( $+functions[compdef] )) || { autoload -U compinit && compinit }
compdef _dpmesh dpmesh
`;

/** In single quotes, for fish. */
const fishQuoted = (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`;

const fishScript = (commands: readonly DescribedCommand[]) =>
  `# completion of dpmesh in fish\n${commands
    .flatMap(({ name, about, flags, words }) => {
      const isThis = `complete -c dpmesh -n '__fish_seen_subcommand_from ${name}'`;
      return [
        `complete -c dpmesh -n __fish_use_subcommand -f -a ${name} -d ${fishQuoted(about)}`,
        ...flags.map(
          ({ name, about, values }) =>
            `${isThis} -l ${name.slice(2)}${values === null ? '' : values.length ? ` -x -a '${values.join(' ')}'` : ' -r'} -d ${fishQuoted(about)}`,
        ),
        ...(words.length ? [`${isThis} -f -a '${words.join(' ')}'`] : []),
      ];
    })
    .join('\n')}\n`;
