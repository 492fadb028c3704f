import { makeKeys } from '../../proto/keys.ts';
import { addressOf, type CliArgs, type RunningProcess, spawnDpmesh } from '../bench/processes.ts';

interface CoordinatorPlacement {
  bind?: string;
  /** A command prefix to start the coordinator with. */
  within?: string[];
}

/** A coordinator with keys, stored next to its run, and workers that the caller starts one by one. */
export async function startCluster(
  data: string,
  out: string,
  flags: CliArgs,
  placement: CoordinatorPlacement = {},
) {
  const { bind = 'tcp://127.0.0.1:*', within } = placement;
  const { folder: keys, server, workers } = makeKeys(`${out}-keys`, ['worker']);
  const common = ['--data', data, '--out', out, '--bind', bind, '--keys', keys, '--no-report'];
  const coordinator = spawnDpmesh(['coordinator', ...common, ...flags], { within });
  let over = false;
  void coordinator.ended.then(() => {
    over = true;
  });
  const address = await addressOf(coordinator);
  return {
    coordinator,
    address,
    /** The coordinator's public key. */
    serverKey: server.public,
    over: () => over,
    /** `connect`: the address to connect to, if not that of the coordinator. */
    worker(dataRoot: string, within?: string[], connect = address): RunningProcess {
      const flags = ['--connect', connect, '--key', workers[0].file, '--data-root', dataRoot];
      return spawnDpmesh(['worker', ...flags], { within });
    },
  };
}
