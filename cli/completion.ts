import { basename } from 'node:path';
import { UserError } from '../base/user-error.ts';
import type { Command } from './arguments.ts';
import { commands } from './commands.ts';
import { SCRIPTS, SHELLS } from './completion-scripts.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'completion [shell]';
export const describe = 'print a script with which a shell completes commands and flags: bash, zsh or fish';
export const builder = { shell: { type: 'string', hidden: true } } as const satisfies Flags;
export const choices = SHELLS;
export const examples = [
  ['completion bash >> ~/.bashrc', 'for bash'],
  ['completion zsh >> ~/.zshrc', 'for zsh'],
  ['completion fish > ~/.config/fish/completions/dpmesh.fish', 'for fish'],
] as const;

/** Prints the script for the shell that is named, or for the one of this user. UserError for another shell. */
export async function handler({ shell: named }: FlagValues<typeof builder>): Promise<void> {
  const wanted = named ?? basename(process.env.SHELL ?? '');
  const shell = SHELLS.find((known) => known === wanted);
  if (!shell) {
    const what = named === undefined ? 'the shell is not known' : `no completion for ${named}`;
    throw new UserError(`${what}; use ${SHELLS.map((name) => `dpmesh completion ${name}`).join(', or ')}`);
  }
  const own: Command = { command, describe, builder, choices };
  process.stdout.write(SCRIPTS[shell]([...commands, own]));
}
