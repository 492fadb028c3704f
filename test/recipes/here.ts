// Runs in this process: the real session, scheduler and tasks, with workers that are no processes and a trainer that is no thread.
// A process would take half a second of a core to start, and compile anew what the others have compiled.

import { cpSync, existsSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import type { ResumedRun } from '../../coordinator/fit/inputs.ts';
import { createEarlyFinish } from '../../coordinator/fit/stage.ts';
import { createTrainer } from '../../coordinator/fit/trainer.ts';
import { startRelay } from '../../coordinator/relay/relay.ts';
import type { Server } from '../../coordinator/rounds/server.ts';
import type { StartedWorkers } from '../../library/open-session.ts';
import type { RunOptions } from '../../library/options.ts';
import { session } from '../../library/session.ts';
import { ofUpdate } from '../../library/update.ts';
import { plannedWorkers, type RunWorkers } from '../../library/workers.ts';
import { identityOf } from '../../run/base-run.ts';
import { type OptionValues, type RunConfig, resolveConfig } from '../../run/config.ts';
import type { TimedEvent } from '../../run/events.ts';
import { readRunFile, type UpdateRequest } from '../../run/run-file.ts';
import type { Summary } from '../../run/summary.ts';
import { COMPUTATION } from '../../tasks/compute/table.ts';
import { TASKS } from '../../tasks/table.ts';
import { type Backend, BackendFailure } from '../../worker/compute/backends/backend.ts';
import { loadBackend } from '../../worker/compute/backends/load.ts';
import { startWorker } from '../../worker/worker.ts';

/** How a run is computed: nothing that its result may depend on. */
export interface How {
  workers?: number;
  /** The workers read the file themselves; else the coordinator sends them its rows. */
  sharedFiles?: boolean;
  backend?: string;
  /** All workers are behind a relay. */
  relay?: boolean;
  /** After so many epochs, of encoder and clusters, the worker that is about to compute dies, and another joins. */
  deathAfter?: number;
  /** Kinds of tasks of which the first one kills the worker that is given it, and another joins. Those that have come are taken out. */
  deadly?: Set<string>;
  /** Where the directory is copied at its first checkpoint after each epoch, into a folder with the epoch's number: what a kill would leave there. */
  copies?: string;
}

export interface Ended {
  run: string;
  summary: Summary;
  events: TimedEvent[];
  /** What a terminal would have shown. */
  log: string[];
  /** Workers that died. */
  deaths: number;
}

/** The epochs among these events, of encoder and clusters. */
export const epochsIn = (events: readonly TimedEvent[]) =>
  events.filter(({ type }) => type === 'epoch' || type === 'encoder-epoch').length;

interface Request {
  config: RunConfig;
  out?: string;
  resume?: ResumedRun;
  update?: UpdateRequest;
}

/** Trains a new run in `out`. UserError as of `train`. */
export const trained = (values: OptionValues, out: string, how: How = {}) =>
  ran({ config: resolveConfig(values), out }, how);

/** Goes on with a run that was killed, with what is in its directory. UserError as of `resume`. */
export function resumed(path: string, how: How = {}, values: OptionValues = {}): Promise<Ended> {
  const run = readRunFile(path);
  const continued = values.maxEpochs === undefined ? ('to-end' as const) : ('beyond' as const);
  return ran(
    {
      config: resolveConfig({ ...run.config, ...values }),
      resume: { path, run, how: continued },
      update: run.update,
    },
    how,
  );
}

/** Updates a finished run by other rows, in a directory of its own. UserError as of `update`, but for what that checks first. */
export function updated(
  before: string,
  values: OptionValues,
  out: string,
  { asked, ...how }: How & { asked?: Partial<UpdateRequest> } = {},
): Promise<Ended> {
  const run = readRunFile(before);
  const config = resolveConfig({ ...run.config, ...ofUpdate(run.config), ...values });
  const update = { run: before, base: identityOf(run), halfLife: null, ...asked };
  return ran({ config, out, update }, how);
}

/** The workers and the trainer of a run of the library, in this process. */
export async function workersHere(config: RunConfig, options: RunOptions): Promise<RunWorkers> {
  const { specs, backend } = await plannedWorkers(config, options);
  const team = teamOf({ workers: specs.length, backend: backend.backend }, [parse(resolve('.')).root]);
  return {
    ...{ bind: 'tcp://127.0.0.1:*', sameFiles: true, trainerFor: createTrainer },
    ...{ start: team.start, stop: team.left },
  };
}

async function ran({ config, out, resume, update }: Request, how: How): Promise<Ended> {
  const { sharedFiles = true } = how;
  // Of a run that sends its rows, they see its directory alone.
  const dataRoots = [sharedFiles ? dirname(config.data) : (resume?.path ?? out!)];
  let epochs = 0;
  const team = teamOf(how, dataRoots, () => epochs);
  const events: TimedEvent[] = [];
  const log: string[] = [];
  let summary: Summary | null = null;
  const end = await session(config, {
    ...{ out, resume, update, sharedFiles, force: false, mixed: false, sameFiles: true },
    ...{ http: null, linger: 0, report: false, checkpointEvery: 0, heartbeatTimeout: 60 },
    bind: 'tcp://127.0.0.1:*',
    trainerFor: createTrainer,
    start: team.start,
    earlyFinish: createEarlyFinish(),
    signal: new AbortController().signal,
    listener: {
      event(event) {
        events.push(event);
        epochs = epochsIn(events);
        if (event.type !== 'checkpoint' || !how.copies) return;
        const copy = join(how.copies, String(epochs));
        if (!existsSync(copy)) cpSync(out!, copy, { recursive: true });
      },
      log: (line) => void log.push(line),
      result(found) {
        summary = found;
      },
      lingers() {},
    },
  });
  if (end.how !== 'done') throw new Error(`the run was ${end.how}`);
  await team.left();
  return { run: resume?.path ?? out!, summary: summary!, events, log, ...team.counts };
}

let device: Promise<Backend> | undefined;
/** A process can open only one device of WebGPU: its workers share it. */
const loaded = (name: string) => (name === 'webgpu' ? (device ??= loadBackend(name)) : loadBackend(name));

/** Workers of a run in this process, and what they have done. */
function teamOf(
  { workers = 1, backend: name = 'wasm', relay = false, deathAfter = Infinity, deadly = new Set() }: How,
  dataRoots: string[],
  epochs: () => number = () => 0,
) {
  const counts = { deaths: 0 };
  const all: Promise<unknown>[] = [];
  let fail: (error: Error) => void;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});

  const endsWithRun = (done: Promise<unknown>, isExcused = () => false) =>
    all.push(
      done.catch((error) => {
        if (!isExcused()) fail(error);
      }),
    );

  /** Where they connect to. */
  async function relayOf({ address }: Server): Promise<string> {
    const { address: own, done } = await startRelay({
      ...{ places: [{ connect: address }], reconnectFor: 60_000, bind: 'tcp://127.0.0.1:*' },
      ...{ tasks: TASKS, name: 'here/relay', heartbeatTimeout: 60_000, log: () => {} },
    });
    endsWithRun(done);
    return own;
  }

  let isBeforeDeath = true;
  /** In the place of dead ones, until they have a task: none dies meanwhile, so that the run is not left without workers. */
  const joining = new Set<number>();

  async function join(address: string, number: number): Promise<void> {
    let isDead = false;
    /** Fails if this worker is dead, or dies now. */
    const survives = (dies: () => boolean) => {
      if (!isDead && !joining.size && dies()) {
        isDead = true;
        counts.deaths++;
        joining.add(number + workers);
        all.push(join(address, number + workers));
      }
      if (isDead) throw new BackendFailure('this worker is dead');
    };
    const backend = counting(await loaded(name), () =>
      survives(() => isBeforeDeath && epochs() >= deathAfter && !(isBeforeDeath = false)),
    );
    const computation: typeof COMPUTATION = {
      ...COMPUTATION,
      open(inputs) {
        const opened = COMPUTATION.open(inputs);
        const run: typeof opened.run = (task, unit) => {
          survives(() => deadly.delete(task.task));
          joining.delete(number);
          return opened.run(task, unit);
        };
        return { ...opened, run };
      },
    };
    const worker = startWorker({
      ...{ computation, places: [{ connect: address }], reconnectFor: 60_000 },
      ...{ backend, backendName: name, name: `here/${number}`, dataRoots, log: () => {} },
    });
    endsWithRun(worker.done, () => isDead);
  }

  return {
    counts,
    start(server: Server): StartedWorkers {
      const address = relay ? relayOf(server) : Promise.resolve(server.address);
      for (let i = 0; i < workers; i++) endsWithRun(address.then((at) => join(at, i)));
      // All of them, so that the one that dies is not alone.
      return { ready: server.joined(relay ? 1 : workers), failed, stop: async () => {} };
    },
    /** Resolves when all workers have heard that the run is over. */
    async left(): Promise<void> {
      for (const one of all) await one;
    },
  };
}

/** The backend, of which each operation that computes is first reported. */
function counting(backend: Backend, computes: () => void): Backend {
  const wrapped: Record<string, unknown> = { ...backend };
  for (const name of ['affine', 'training', 'adam', 'gather', 'logDensity'] as const) {
    const operation = backend[name] as ((...args: unknown[]) => unknown) | undefined;
    if (operation)
      wrapped[name] = (...args: unknown[]) => {
        computes();
        return operation(...args);
      };
  }
  return wrapped as unknown as Backend;
}
