import { join } from 'node:path';
import { dpmesh, fresh } from '../../bench/dpmesh.ts';
import { type Started, start, until } from './fault.ts';

/** A coordinator with keys and workers that are started one by one. */
export async function byHand(data: string, out: string, flags: (string | number)[], place: Place = {}) {
  const { bind = 'tcp://127.0.0.1:*', before = [] } = place;
  const keys = fresh('keys');
  const made = JSON.parse((await dpmesh(['keygen', keys, '--json'])).stdout);
  const common = ['--data', data, '--out', out, '--bind', bind, '--keys', keys];
  const coordinator = start(['coordinator', ...common, ...flags], before);
  let over = false;
  void coordinator.ended.then(() => {
    over = true;
  });
  const listening = () => /listening on (\S+);/.exec(coordinator.stderr())?.[1];
  await until('the coordinator', () => over || listening() !== undefined);
  const address = listening();
  if (!address) throw new Error(coordinator.stderr());
  return {
    coordinator,
    address,
    /** The coordinator's public key. */
    serverKey: made.server.public as string,
    over: () => over,
    /** `connect`: where the worker finds the coordinator, if not at its own address. */
    worker(dataRoot: string, within: string[] = [], connect = address): Started {
      const key = join(keys, 'worker.key');
      return start(['worker', '--connect', connect, '--key', key, '--data-root', dataRoot], within);
    },
  };
}

interface Place {
  bind?: string;
  before?: string[];
}
