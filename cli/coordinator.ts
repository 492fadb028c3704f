import type { Options } from 'yargs';
import { isLoopback } from '../base/loopback.ts';
import { UserError } from '../base/user-error.ts';
import type { Server } from '../coordinator/scheduler/server.ts';
import type { Keys } from '../coordinator/session.ts';
import { resolveConfig } from './config.ts';
import { runOptions } from './flags.ts';
import { terminalSession } from './session.ts';
import { hangups } from './signals.ts';
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
} as const satisfies Record<string, Options>;

export const builder = {
  ...runOptions,
  ...bindOptions,
  ...outputOptions,
} as const satisfies Record<string, Options>;

export async function handler(args: Record<string, unknown>): Promise<void> {
  const config = await resolveConfig(args, Object.keys(builder));
  await terminalSession(config, { ...(await output(args)), ...(await listening(args)) });
}

/** A coordinator that others connect to. UserError for an address that it should not bind. */
export async function listening(args: Record<string, unknown>) {
  const folder = args.keys as string | undefined;
  if (folder !== undefined && args.insecure)
    throw new UserError('--keys and --insecure exclude each other: leave one out');
  const bind = String(args.bind);
  const port = Number(/:(\d+)$/.exec(bind)?.[1] ?? 0);
  const host = port <= 65535 && /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5}|\*)$/.exec(bind)?.[1];
  if (!host) throw new UserError(`--bind ${bind} must look like tcp://HOST:PORT`);
  if (!isLoopback(host)) {
    if (!args.insecure && !folder)
      throw new UserError(
        `--bind ${bind} can be reached from other machines, without encryption or keys; make keys (dpmesh keygen, --keys), bind 127.0.0.1, or accept it with --insecure`,
      );
  }
  if (args.insecure)
    console.error(`dpmesh: warning: --insecure: whoever reaches ${bind} can join this run and read its data`);
  const keys = folder === undefined ? undefined : await readKeys(folder);
  return {
    bind: bind.replace('//localhost:', '//127.0.0.1:'),
    keys,
    start(server: Server) {
      // Every address of this machine is none that a worker can connect to.
      const reached = server.address.replace(/\/\/(0\.0\.0\.0|\[::\]|\*):/, '//HOST:');
      console.error(
        `listening on ${server.address}; start workers with: dpmesh worker --connect ${reached}${keys ? ' --key FILE' : ''}`,
      );
      return { ready: server.joined(1), stop: async () => {} };
    },
  };
}

async function readKeys(folder: string): Promise<Keys> {
  const { readAllowed, readServerKey } = await import('../proto/key-files.ts');
  const read = () => readAllowed(folder);
  return { secret: readServerKey(folder).secret, allowed: read(), reread: { read, asked: hangups() } };
}
