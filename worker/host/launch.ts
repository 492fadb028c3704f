import { assertOpenFiles } from '../../base/limits.ts';
import { UserError } from '../../base/user-error.ts';
import { assertAddressSpaceFor } from '../compute/backends/load.ts';
import { checkGpuList, chooseDevices } from '../compute/gpus.ts';
import { listGpus } from '../compute/nvidia-smi.ts';
import type { ProcessOptions } from '../process.ts';
import type { WorkerSpec } from './supervised-worker.ts';
import { Supervisor } from './supervisor.ts';

/** Files and sockets of this process, and those of each worker: pipes. */
const [OWN_FILES, WORKER_FILES] = [50, 3];

export interface Wanted {
  /** `all`, `none`, or numbers with commas between. */
  gpus: string;
  /** Workers on each GPU. */
  perGpu: number;
  /** Workers without one. */
  cpus: number;
  /** The first part of their names. */
  host: string;
}

/**
 * The workers that were asked for: each pinned to one GPU or MIG instance by its UUID, or to none. UserError for a GPU
 * that is not there or is asked for twice, or where nothing is asked for. nvidia-smi is only asked if it has to be.
 */
export async function workersOn({ gpus, perGpu, cpus, host }: Wanted): Promise<WorkerSpec[]> {
  checkGpuList(gpus);
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  const devices = gpus === 'none' ? [] : chooseDevices(gpus, await listGpus(), visible);
  if (!devices.length && gpus === 'all')
    throw new UserError(
      `--gpus all: CUDA_VISIBLE_DEVICES=${visible} leaves no GPU of this host; unset it, or name them`,
    );
  const specs: WorkerSpec[] = devices.flatMap(({ name, uuid }) =>
    Array.from({ length: perGpu }, (_, i) => ({
      name: `${host}/${name}${perGpu > 1 ? `-${i}` : ''}`,
      pinned: true,
      env: { CUDA_VISIBLE_DEVICES: uuid },
    })),
  );
  for (let i = 0; i < cpus; i++)
    specs.push({
      name: `${host}/cpu${i}`,
      env: { CUDA_VISIBLE_DEVICES: '-1' },
      options: { requireGpu: false },
    });
  if (!specs.length)
    throw new UserError(`nothing to start: --gpus ${gpus}, --cpus ${cpus}; ask for one of the two`);
  return specs;
}

/**
 * Keeps these workers alive until the coordinator sends them home, or a signal asks them to leave: then each finishes
 * its unit and says goodbye; a second signal kills them. `onSignal` listens: it tells a second from the same once more.
 * One that fails again and again is given up, the others go on. Gives the exit code: 1 if all were given up.
 */
export async function launch(
  specs: WorkerSpec[],
  { connect, key, ...shared }: Omit<ProcessOptions, 'name' | 'quiet' | 'child'>,
  onSignal: (first: (signal: NodeJS.Signals) => void, second: () => void) => void,
): Promise<number> {
  assertOpenFiles(OWN_FILES + WORKER_FILES * specs.length, 'launch with its workers');
  assertAddressSpaceFor(shared.backend);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const prefixed = linesOf((name, line) => say(`${name}: ${line.replace(/^worker: /, '')}`));
  say(
    `launch: ${specs.length} ${specs.length > 1 ? 'workers' : 'worker'}: ${specs.map(({ name }) => name).join(', ')}`,
  );
  const supervisor = new Supervisor(
    specs,
    { connect, key },
    { ...shared, quiet: false, child: true },
    {
      ended: (_, code) => (code === 0 ? 'done' : 'failed'),
      said: prefixed.add,
      restarts(name, how, delay) {
        prefixed.end(name);
        say(
          `launch: ${name} ${how}; it is started again${delay ? ` in ${(delay / 1000).toFixed(1)} s` : ''}`,
        );
      },
      gaveUp(name, error) {
        prefixed.end(name);
        say(`launch: gave up on ${name}: ${error.message}`);
      },
    },
  );
  let asked: NodeJS.Signals | null = null;
  onSignal(
    (signal) => {
      asked = signal;
      say('launch: workers finish what is at hand and leave; once more to kill them');
      supervisor.leave();
    },
    () => {
      say('launch: killing the workers');
      supervisor.kill();
    },
  );
  const { givenUp } = await supervisor.over;
  if (asked) return asked === 'SIGINT' ? 130 : 0;
  if (givenUp === specs.length) say(`launch: no worker is left`);
  return givenUp === specs.length ? 1 : 0;
}

/** Cuts what several write into whole lines. */
function linesOf(line: (name: string, text: string) => void) {
  const rests = new Map<string, string>();
  return {
    add(name: string, text: Buffer) {
      const lines = ((rests.get(name) ?? '') + text).split(/\r?\n/);
      rests.set(name, lines.pop()!);
      for (const each of lines) line(name, each);
    },
    end(name: string) {
      const rest = rests.get(name);
      rests.delete(name);
      if (rest) line(name, rest);
    },
  };
}
