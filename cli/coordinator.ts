import type { Options } from 'yargs';
import { UserError } from '../data/user-error.ts';
import { resolveConfig, seconds } from './config.ts';
import { runOptions } from './flags.ts';
import type { Keys } from './session.ts';
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
  keys: {
    type: 'string',
    group: 'This run:',
    requiresArg: true,
    describe: 'folder of dpmesh keygen: encrypt, and let its workers in only',
    defaultDescription: 'none: not encrypted',
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
  const folder = args.keys as string | undefined;
  if (folder !== undefined && args.insecure)
    throw new UserError('--keys and --insecure exclude each other: leave one out');
  const bind = String(args.bind);
  const port = Number(/:(\d+)$/.exec(bind)?.[1] ?? 0);
  const host = port <= 65535 && /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5}|\*)$/.exec(bind)?.[1];
  if (!host) throw new UserError(`--bind ${bind} must look like tcp://HOST:PORT`);
  if (!/^(127\.|localhost$|\[::1\]$)/.test(host)) {
    if (!args.insecure && !folder)
      throw new UserError(
        `--bind ${bind} can be reached from other machines, without encryption or keys; make keys (dpmesh keygen, --keys), bind 127.0.0.1, or accept it with --insecure`,
      );
  }
  if (args.insecure)
    console.error(`dpmesh: warning: --insecure: whoever reaches ${bind} can join this run and read its data`);
  const keys = folder === undefined ? undefined : await readKeys(folder);
  const { session } = await import('./session.ts');
  await session(config, {
    bind: bind.replace('//localhost:', '//127.0.0.1:'),
    out: args.out as string | undefined,
    force: args.force === true,
    json: args.json === true,
    keys,
    sharedFiles: args.sharedFiles !== false,
    heartbeatTimeout: seconds(args, 'heartbeat-timeout'),
    start(server) {
      console.error(
        `listening on ${server.address}; start workers with: dpmesh worker --connect ${server.address}${keys ? ' --key FILE' : ''}`,
      );
      return { ready: server.joined(1), stop: async () => {} };
    },
  });
}

async function readKeys(folder: string): Promise<Keys> {
  const { readAllowed, readServerKey } = await import('../proto/key-files.ts');
  const reread = () => readAllowed(folder);
  return { secret: readServerKey(folder).secret, allowed: reread(), reread };
}
