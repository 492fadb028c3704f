import type { Options } from 'yargs';
import type { Server } from '../coordinator/server.ts';
import { UserError } from '../data/user-error.ts';
import { resolveConfig } from './config.ts';
import { runOptions } from './flags.ts';
import { output, outputOptions } from './train.ts';

export const command = 'coordinator';
export const describe = 'run a coordinator alone; workers join it from this and other machines';
/** For a coordinator without workers of its own. */
export const bindOptions = {
  bind: {
    type: 'string',
    group: 'This run:',
    default: 'tcp://127.0.0.1:5555',
    requiresArg: true,
    describe: 'address that workers connect to',
  },
  insecure: {
    type: 'boolean',
    group: 'This run:',
    default: false,
    describe: 'bind an address that other machines reach, without encryption or keys',
  },
} as const satisfies Record<string, Options>;

export const builder = {
  ...runOptions,
  ...bindOptions,
  ...outputOptions,
} as const satisfies Record<string, Options>;

export async function handler(args: Record<string, unknown>): Promise<void> {
  const config = await resolveConfig(args);
  const { session } = await import('./session.ts');
  await session(config, { ...output(args), ...listening(args) });
}

/** A coordinator that others connect to. UserError for an address that it should not bind. */
export function listening(args: Record<string, unknown>) {
  const bind = String(args.bind);
  const port = Number(/:(\d+)$/.exec(bind)?.[1] ?? 0);
  const host = port <= 65535 && /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5}|\*)$/.exec(bind)?.[1];
  if (!host) throw new UserError(`--bind ${bind} must look like tcp://HOST:PORT`);
  if (!/^(127\.|localhost$|\[::1\]$)/.test(host)) {
    if (!args.insecure)
      throw new UserError(
        `--bind ${bind} can be reached from other machines, without encryption or keys; bind 127.0.0.1, or accept it with --insecure`,
      );
    console.error(`dpmesh: warning: --insecure: whoever reaches ${bind} can join this run and read its data`);
  }
  return {
    bind: bind.replace('//localhost:', '//127.0.0.1:'),
    start(server: Server) {
      console.error(
        `listening on ${server.address}; start workers with: dpmesh worker --connect ${server.address}`,
      );
      return { ready: server.joined(1), stop: async () => {} };
    },
  };
}
