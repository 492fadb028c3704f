import { assertOpenFiles } from '../../base/limits.ts';
import { UserError } from '../../base/user-error.ts';
import { assertAddressSpaceFor } from '../compute/backends/load.ts';
import { checkGpuList, chooseDevices, listGpus } from '../compute/gpus.ts';
import type { ProcessOptions } from '../process.ts';
import type { WorkerSpec } from './supervised-worker.ts';
import { Supervisor } from './supervisor.ts';

/** Files and sockets of this process, and pipes of each worker. */
const [OWN_FILES, WORKER_FILES] = [50, 3];

export interface WorkersRequest {
  /** `all`, `none`, or comma-separated numbers. */
  gpus: string;
  /** Workers on each GPU. */
  perGpu: number;
  /** Workers without a GPU. */
  cpus: number;
  /** First part of the workers' names. */
  host: string;
}

/**
 * The requested workers, each pinned to one GPU or MIG instance by its UUID, or to none. UserError for a GPU that does not
 * exist or is requested twice, or if no worker is requested. Runs nvidia-smi only if necessary.
 */
export async function workersOn({ gpus, perGpu, cpus, host }: WorkersRequest): Promise<WorkerSpec[]> {
  checkGpuList(gpus);
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  const devices = gpus === 'none' ? [] : chooseDevices(gpus, await listGpus(), visible);
  if (!devices.length && gpus === 'all')
    throw new UserError(
      `--gpus all: CUDA_VISIBLE_DEVICES=${visible} hides all GPUs of this host; unset it, or name GPUs with --gpus`,
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
    throw new UserError(`no workers to start: --gpus ${gpus}, --cpus ${cpus}; set one of the two`);
  return specs;
}

/**
 * Keeps these workers alive until the coordinator stops them, or a signal asks them to leave, after which each finishes its
 * unit. A second signal kills them. `onSignal` registers the handlers; it ignores duplicates of the first signal. A worker that
 * fails repeatedly is given up, the others continue. Returns the exit code: 1 if all were given up.
 */
export async function launch(
  specs: WorkerSpec[],
  { connect, key, ...shared }: Omit<ProcessOptions, 'name' | 'quiet' | 'child'>,
  onSignal: (first: (signal: NodeJS.Signals) => void, second: () => void) => void,
): Promise<number> {
  assertOpenFiles(OWN_FILES + WORKER_FILES * specs.length, 'launch with its workers');
  assertAddressSpaceFor(shared.backend);
  const log = (line: string) => process.stderr.write(`${line}\n`);
  const workerLog = createLineSplitter((name, line) => log(`${name}: ${line.replace(/^worker: /, '')}`));
  log(
    `launch: starting ${specs.length} ${specs.length > 1 ? 'workers' : 'worker'}: ${specs.map(({ name }) => name).join(', ')}`,
  );
  const supervisor = new Supervisor(
    specs,
    { connect, key },
    { ...shared, quiet: false, child: true },
    {
      ended: (_, code) => (code === 0 ? 'done' : 'failed'),
      stderr: workerLog.add,
      restarts(name, how, delay) {
        workerLog.end(name);
        log(`launch: ${name} ${how}; restarting it${delay ? ` in ${(delay / 1000).toFixed(1)} s` : ''}`);
      },
      gaveUp(name, error) {
        workerLog.end(name);
        log(`launch: gave up on ${name}: ${error.message}`);
      },
    },
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
  if (asked) return asked === 'SIGINT' ? 130 : 0;
  if (givenUp === specs.length) log('launch: all workers were given up');
  return givenUp === specs.length ? 1 : 0;
}

/** Splits the output of several workers into complete lines; `end` flushes an incomplete last one. */
function createLineSplitter(emit: (name: string, line: string) => void) {
  const incomplete = new Map<string, string>();
  return {
    add(name: string, text: Buffer) {
      const lines = ((incomplete.get(name) ?? '') + text).split(/\r?\n/);
      incomplete.set(name, lines.pop()!);
      for (const line of lines) emit(name, line);
    },
    end(name: string) {
      const rest = incomplete.get(name);
      incomplete.delete(name);
      if (rest) emit(name, rest);
    },
  };
}
