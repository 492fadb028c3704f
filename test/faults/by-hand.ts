import { type Args, addressOf, type Running, start } from '../../bench/processes.ts';
import { makeKeys } from '../../proto/key-files.ts';

interface Place {
  bind?: string;
  /** A command that starts the coordinator, if any. */
  within?: string[];
}

/** A coordinator with keys, which lie beside its run, and workers that are started one by one. */
export async function byHand(data: string, out: string, flags: Args, place: Place = {}) {
  const { bind = 'tcp://127.0.0.1:*', within } = place;
  const { folder: keys, server, workers } = makeKeys(`${out}-keys`, ['worker']);
  const common = ['--data', data, '--out', out, '--bind', bind, '--keys', keys];
  const coordinator = start(['coordinator', ...common, ...flags], { within });
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
    /** `connect`: where the worker finds the coordinator, if not at its own address. */
    worker(dataRoot: string, within?: string[], connect = address): Running {
      const flags = ['--connect', connect, '--key', workers[0].file, '--data-root', dataRoot];
      return start(['worker', ...flags], { within });
    },
  };
}
