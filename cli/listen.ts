import { isLoopback } from '../base/address.ts';
import { UserError } from '../base/user-error.ts';
import type { Server } from '../coordinator/scheduler/server.ts';
import type { Keys } from '../coordinator/session.ts';
import type { FlagValues } from './flag.ts';
import type { bindFlags } from './run-flags.ts';
import { hangups } from './signals.ts';

/** A coordinator that others connect to. UserError for an address that it should not bind. */
export async function listening({ bind, keys: folder, insecure }: FlagValues<typeof bindFlags>) {
  if (folder !== undefined && insecure)
    throw new UserError('--keys and --insecure exclude each other: leave one out');
  const port = Number(/:(\d+)$/.exec(bind)?.[1] ?? 0);
  const host = port <= 65535 && /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5}|\*)$/.exec(bind)?.[1];
  if (!host) throw new UserError(`--bind ${bind} must look like tcp://HOST:PORT`);
  if (!isLoopback(host) && !insecure && !folder)
    throw new UserError(
      `--bind ${bind} can be reached from other machines, without encryption or keys; make keys (dpmesh keygen, --keys), bind 127.0.0.1, or accept it with --insecure`,
    );
  if (insecure)
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
