import type { Options } from 'yargs';
import { UserError } from '../data/user-error.ts';
import { resolveConfig, seconds } from './config.ts';
import { runOptions } from './flags.ts';
import { outputOptions } from './train.ts';

export const command = 'coordinator';
export const describe = 'run a coordinator alone; workers join it from this and other machines';
export const builder = {
  ...runOptions,
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
  ...outputOptions,
} as const satisfies Record<string, Options>;

export async function handler(args: Record<string, unknown>): Promise<void> {
  const config = await resolveConfig(args);
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
  const { session } = await import('./session.ts');
  await session(config, {
    bind: bind.replace('//localhost:', '//127.0.0.1:'),
    out: args.out as string | undefined,
    force: args.force === true,
    json: args.json === true,
    sharedFiles: args.sharedFiles !== false,
    heartbeatTimeout: seconds(args, 'heartbeat-timeout'),
    start(server) {
      console.error(
        `listening on ${server.address}; start workers with: dpmesh worker --connect ${server.address}`,
      );
      return { ready: server.joined(1), stop: async () => {} };
    },
  });
}
