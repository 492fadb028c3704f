import { basename } from 'node:path';
import { UserError } from '../base/user-error.ts';
import type { Command } from './arguments.ts';
import { commands } from './commands.ts';
import type { Flag, Flags, FlagValues } from './flag.ts';

const SHELLS = ['bash', 'zsh', 'fish'];

export const command = 'completion [shell]';
export const describe = 'print a script with which a shell completes commands and flags: bash, zsh or fish';
export const builder = { shell: { type: 'string', hidden: true } } as const satisfies Flags;
export const choices = SHELLS;
export const examples = [
  ['completion bash >> ~/.bashrc', 'for bash'],
  ['completion zsh >> ~/.zshrc', 'for zsh'],
  ['completion fish > ~/.config/fish/completions/dpmesh.fish', 'for fish'],
] as const;

/**
 * Prints the script for the shell that is named, or for the one of this user. UserError for another shell. All commands and flags are
 * in it: a key press starts no process. (The scripts of yargs start one, list flags where a file belongs, or in fish no files at all,
 * and need a newer bash than that of macOS.)
 */
export async function handler({ shell: named }: FlagValues<typeof builder>): Promise<void> {
  const shell = named ?? basename(process.env.SHELL ?? '');
  if (!SHELLS.includes(shell)) {
    const what = named === undefined ? 'the shell is not known' : `no completion for ${named}`;
    throw new UserError(`${what}; use ${SHELLS.map((name) => `dpmesh completion ${name}`).join(', or ')}`);
  }
  const all = [...commands, { command, describe, builder, choices }].map(completed);
  process.stdout.write(shell === 'fish' ? fishScript(all) : bashScript(all));
}

interface CompletedFlag {
  /** With dashes. */
  name: string;
  about: string;
  /** What may follow it; null: nothing. An empty list: anything, of which shells complete names of files. */
  values: readonly string[] | null;
}

interface CompletedCommand {
  name: string;
  about: string;
  flags: CompletedFlag[];
  /** Words that may follow the command; an empty list: anything. */
  words: readonly string[];
}

/** A description up to its first semicolon or bracket. */
const shortened = (text = '') => text.split(/; | \(|: /)[0];

function completed({ command, describe, builder, choices = [] }: Command): CompletedCommand {
  const flags = Object.entries(builder).flatMap(([name, flag]) => (flag.hidden ? [] : spellings(name, flag)));
  const help: CompletedFlag = { name: '--help', about: 'show help', values: null };
  return { name: command.split(' ')[0], about: shortened(describe), flags: [...flags, help], words: choices };
}

function spellings(name: string, flag: Flag): CompletedFlag[] {
  const about = shortened(flag.describe);
  const isOn = flag.default === true || flag.defaultDescription === 'true';
  const off = { name: `--no-${name}`, about: `not: ${about}`, values: null };
  if (flag.type === 'boolean') return isOn ? [off] : [{ name: `--${name}`, about, values: null }];
  const values = (flag.choices ?? []).map(String);
  const on = [name, ...[flag.alias ?? []].flat()].map((own) => ({ name: `--${own}`, about, values }));
  return flag.canBeOff ? [...on, off] : on;
}

const names = (items: readonly { name: string }[]) => items.map(({ name }) => name).join(' ');

/** Also for zsh, by its emulation of bash, and for the bash 3.2 of macOS. */
const bashScript = (commands: readonly CompletedCommand[]) => `# completion of dpmesh in bash and zsh
if [ -n "\${ZSH_VERSION-}" ]; then
  whence compdef >/dev/null || { autoload -U compinit && compinit; }
  autoload -U bashcompinit && bashcompinit
fi
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
${commands
  .flatMap(({ name, flags }) =>
    flags.flatMap((flag) =>
      flag.values ? `    '${name} ${flag.name}') words='${flag.values.join(' ')}' ;;` : [],
    ),
  )
  .join('\n')}
    *) case "\${COMP_WORDS[1]} $current" in
${commands
  .flatMap(({ name, flags, words }) => [
    `    '${name} -'*) words='${names(flags)}' ;;`,
    ...(words.length ? [`    '${name} '*) words='${words.join(' ')}' ;;`] : []),
  ])
  .join('\n')}
    esac ;;
  esac
  [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -o bashdefault -F _dpmesh dpmesh
`;

/** In single quotes, for fish. */
const quoted = (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`;

const fishScript = (commands: readonly CompletedCommand[]) =>
  `# completion of dpmesh in fish\n${commands
    .flatMap(({ name, about, flags, words }) => {
      const isThis = `complete -c dpmesh -n '__fish_seen_subcommand_from ${name}'`;
      return [
        `complete -c dpmesh -n __fish_use_subcommand -f -a ${name} -d ${quoted(about)}`,
        ...flags.map(
          ({ name, about, values }) =>
            `${isThis} -l ${name.slice(2)}${values === null ? '' : values.length ? ` -x -a '${values.join(' ')}'` : ' -r'} -d ${quoted(about)}`,
        ),
        ...(words.length ? [`${isThis} -f -a '${words.join(' ')}'`] : []),
      ];
    })
    .join('\n')}\n`;
