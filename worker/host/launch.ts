import { hostname } from 'node:os';
import { assertOpenFiles } from '../../base/limits.ts';
import { newKeyPair } from '../../proto/keys.ts';
import { assertAddressSpaceFor } from '../compute/backends/load.ts';
import type { CoordinatorAddress, RelayPlace } from '../connection.ts';
import type { Coordinator, ProcessOptions } from '../process.ts';
import { type Hooks, type RestartPatience, supervise, type WorkerSpec } from './supervisor.ts';

/** Files and sockets of this process, and pipes of each worker. */
const [OWN_FILES, WORKER_FILES] = [50, 3];
/** More get a relay, which stands for them at the coordinator. */
const MOST_WITHOUT_RELAY = 4;

/**
 * Keeps these workers alive until the coordinator stops them, or a signal asks them to leave, after which each finishes its
 * unit. A second signal kills them. `onSignal` registers the handlers; it ignores duplicates of the first signal. A worker that
 * fails repeatedly is given up, the others continue. Many have a relay. Returns the exit code: 1 if all were given up.
 */
export async function launch(
  specs: WorkerSpec[],
  { places, ...shared }: Omit<ProcessOptions, 'name' | 'quiet' | 'child'>,
  onSignal: (first: (signal: NodeJS.Signals) => void, second: () => void) => void,
): Promise<number> {
  assertOpenFiles(OWN_FILES + WORKER_FILES * (specs.length + 1), 'launch with its workers');
  assertAddressSpaceFor(shared.backend);
  const log = (line: string) => void process.stderr.write(`${line}\n`);
  const names = specs.map(({ name }) => name);
  log(`launch: starting ${specs.length} ${specs.length > 1 ? 'workers' : 'worker'}: ${names.join(', ')}`);
  const hooks: Hooks = {
    ended: (_, code) => (code === 0 ? 'done' : 'failed'),
    said: (name, line) => log(`${name}: ${line.replace(/^(worker|relay): /, '')}`),
    restarts: (name, how, delay) =>
      log(`launch: ${name} ${how}; restarting it${delay ? ` in ${(delay / 1000).toFixed(1)} s` : ''}`),
    gaveUp: (name, error) => log(`launch: gave up on ${name}: ${error.message}`),
  };
  let relay: OwnRelay | null = null;
  if (specs.length > MOST_WITHOUT_RELAY) {
    log('launch: a relay stands for them at the coordinator');
    relay = startOwnRelay(places, shared, hooks);
  }
  const supervisor = supervise(
    specs,
    relay?.place ?? { places },
    { ...shared, quiet: false, child: true },
    hooks,
  );
  let asked: NodeJS.Signals | null = null;
  onSignal(
    (signal) => {
      asked = signal;
      log('launch: workers finish their current unit and leave; signal again to kill them');
      supervisor.leave();
    },
    () => {
      log('launch: killing the workers');
      supervisor.kill();
    },
  );
  const { givenUp } = await supervisor.over;
  await relay?.stop();
  if (asked) return asked === 'SIGINT' ? 130 : 0;
  if (givenUp === specs.length) log('launch: all workers were given up');
  return givenUp === specs.length ? 1 : 0;
}

export type OwnRelay = ReturnType<typeof startOwnRelay>;

/**
 * Starts a relay for the workers of this process, and starts it again, at the same address, when it ends before the run. Its workers
 * go on with the coordinator when it does not come again.
 */
function startOwnRelay(
  places: readonly CoordinatorAddress[],
  { reconnectFor, giveUpAfter }: RestartPatience,
  hooks: Hooks,
) {
  // Told to nobody but these processes, by their pipes: other users of the machine stay out.
  const [own, workers] = [newKeyPair(), newKeyPair()];
  const told: RelayPlace = {
    places,
    bind: 'tcp://127.0.0.1:*',
    keys: { secret: own.secret, allowed: [[workers.public, 'local']] },
  };
  let reveal: (place: Coordinator) => void;
  const place = new Promise<Coordinator>((resolve) => {
    reveal = resolve;
  });
  const { stop } = supervise(
    [{ name: `${hostname()}/relay` }],
    told,
    { reconnectFor, giveUpAfter },
    {
      ...hooks,
      said(name, line) {
        const address = /^relay: listening on (\S+),/.exec(line)?.[1];
        if (address) {
          told.bind = address;
          reveal({ places: [{ connect: address, key: { ...workers, server: own.public } }, ...places] });
        }
        hooks.said(name, line);
      },
      gaveUp(name, error) {
        hooks.gaveUp(name, error);
        reveal({ places });
      },
    },
    'relay',
  );
  return {
    /** Where workers connect to: the relay, once it listens, then the coordinator. */
    place,
    stop,
  };
}
