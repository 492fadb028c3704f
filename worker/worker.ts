import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import {
  type FromCoordinator,
  type FromWorker,
  MOST_ABOUT,
  MOST_WHY,
  type WorkUnit,
} from '../proto/messages.ts';
import { Mismatch } from '../proto/shapes.ts';
import type { Tensors } from '../proto/tensors.ts';
import { acceptRound, type RoundMessage } from './accept-round.ts';
import { createFetches, fileBlocks, folderProblem, openVisible, Superseded, servedBlocks } from './blocks.ts';
import type { Backend } from './compute/backends/backend.ts';
import {
  type ConnectionOptions,
  openConnection,
  type Request,
  type WorkerDescription,
} from './connection.ts';
import type { Meter } from './http.ts';
import { type Computation, runUnits, type TaskContext } from './round.ts';
import { localTrouble } from './trouble.ts';

/** A worker process: joins the coordinator (connection.ts), computes the units of each round in order (round.ts, tasks/), and sends the results. */

export interface WorkerOptions extends Omit<ConnectionOptions, 'tasks'> {
  computation: Computation;
  backend: Backend;
  backendName: string;
  /** Why this backend was chosen, for logs. */
  why?: string;
  name: string;
  /** The worker opens no data files outside of these folders and prefixes of addresses, whatever the coordinator asks for. */
  dataRoots: readonly string[];
  /** Counts the worker's units, rows and seconds. */
  meter?: Meter;
}

type Welcome = Extract<FromCoordinator, { type: 'welcome' }>;
type MemoryUsage = Pick<Extract<FromWorker, { type: 'results' }>, 'memory' | 'gpuMemory'>;

/** Maximum queued `round` messages. A coordinator runs one round at a time, in a few messages. */
const MOST_ROUNDS = 1024;
/** How old a measurement of memory may be, ms: the system call is slow. */
const MEMORY_MAX_AGE_MS = 500;
/** Maximum characters of an error in a `failure`. */
const MOST_MESSAGE = 4000;
/** Long enough that the scheduler takes this thread off its core, ms. */
const YIELD_MS = 0.06;

/**
 * Serves a coordinator until it sends `stop`: joins, then runs the units of each round in order and returns their results.
 * Joins again when the connection was lost or the coordinator has restarted.
 */
export function startWorker(options: WorkerOptions) {
  const { backend, dataRoots, log, meter, computation } = options;
  const { tasks } = computation;
  const memory = memoryReader(backend);
  const description = describeWorker(options);
  const connection = openConnection({ ...options, tasks }, () => description, receive);
  const fetches = createFetches(connection.send);
  /** The coordinator's term that this worker has joined. Rounds and rows of another term are ignored. */
  let joinedTerm: number | null = null;
  /** The welcome that is in force. */
  let latestWelcome: Welcome | null = null;
  /** Null until the data of this term can be read. */
  let context: TaskContext | null = null;
  let closeFile = () => {};
  /** The queue of rounds. */
  let rounds: { header: RoundMessage; tensors: Tensors }[] = [];
  /** The highest number of a round that has arrived. */
  let latest = 0;
  let isBusy = false;
  let working = Promise.resolve();
  let isLeaving = false;

  function receive(header: Request, tensors: Tensors): void {
    if (header.type === 'welcome') void join(header).catch((error) => connection.end(error));
    else if (header.type === 'folder') look(header);
    else if (header.type === 'round') queue(header, tensors);
    else if (!fetches.answered(header, tensors))
      connection.ignore('unrequested', 'rows that were not requested, or of the wrong length');
  }

  /** Where parts of results are written. */
  let folder: string | null = null;

  function look({ path, token }: Extract<FromCoordinator, { type: 'folder' }>): void {
    const problem = folderProblem(dataRoots, path, token);
    folder = problem === null ? realpathSync(path) : null;
    const sent = connection.send({ type: 'sees', ...(problem !== null && { problem }) });
    if (problem !== null)
      connection.end(new UserError(`this worker cannot write to the run directory: ${problem}`), sent);
  }

  async function join(welcome: Welcome) {
    rounds = [];
    const { term, worker, file, layout } = welcome;
    // A new connection to the same coordinator.
    if (term === joinedTerm && Boolean(file) === Boolean(latestWelcome?.file)) return fetches.repeat();
    if (term !== joinedTerm) latest = 0;
    latestWelcome = welcome;
    joinedTerm = term;
    fetches.drop();
    const previous = context;
    context = null;
    await working;
    previous?.free();
    closeFile();
    closeFile = () => {};
    const source = file && (await openVisible(dataRoots, file, layout, log));
    // Another welcome may have arrived meanwhile.
    if (latestWelcome !== welcome) return source?.close();
    if (source) closeFile = source.close;
    if (meter) meter.joined = true;
    const readBlocks = source
      ? fileBlocks(source)
      : servedBlocks((blocks) => fetches.blocks(blocks, layout), layout.dim);
    context = computation.open({
      ...{ backend, readBlocks, layout },
      folder: () => folder,
      sampleFrom: (shard, below) => fetches.sample(shard, below, layout),
      textsOf: (blocks, k) => fetches.texts(blocks, k, layout),
    });
    log(`joined as ${worker}; rows come from ${source ? oneLine(file.path) : 'the coordinator'}`);
    work();
  }

  function queue(header: RoundMessage, tensors: Tensors) {
    if (header.term !== joinedTerm) return;
    if (rounds.length >= MOST_ROUNDS)
      return connection.ignore('too many', `${MOST_ROUNDS} rounds are queued already`);
    latest = Math.max(latest, header.round);
    rounds.push({ header, tensors });
    work();
  }

  /** Starts running the queued rounds, unless they are running already. */
  function work(): void {
    if (isBusy) return;
    isBusy = true;
    working = runRounds().catch((error) => connection.end(error));
  }

  async function runRounds(): Promise<void> {
    while (context && rounds.length && !isLeaving && !connection.isOver()) {
      const { header, tensors } = rounds.shift()!;
      await run(context, header, tensors);
    }
    isBusy = false;
    if (isLeaving && !connection.isOver()) connection.goodbye();
  }

  async function run(own: TaskContext, header: RoundMessage, tensors: Tensors): Promise<void> {
    const { term, round } = header;
    yieldCore();
    try {
      acceptRound(tasks, own, header, tensors);
    } catch (error) {
      // A round that is over may have states older than those here. Its results are not needed any more.
      if (header.units.length && round >= latest) failed(header, header.units[0], error, true);
      return;
    }
    const failure = await runUnits(own, header, {
      isOver: () => isLeaving || connection.isOver() || own !== context || round < latest,
      done: (done, results, seconds) => {
        const rowsRead = own.rowsRead();
        meter?.count(done, seconds, rowsRead);
        const message = { term, round, done, seconds, rowsRead, ...memory() };
        connection.sendResults({ type: 'results', ...message }, results);
      },
    });
    if (failure && !(failure.error instanceof Superseded) && own === context)
      failed(header, failure.unit, failure.error);
  }

  /**
   * Reports a failure. This worker leaves, and others take over; if there are none, the run waits. Only if the data are to
   * blame, or the round, which does not fit its states or was rejected before any work, the coordinator decides what becomes of
   * it.
   */
  function failed(
    { term, round }: RoundMessage,
    unit: WorkUnit,
    cause: unknown,
    isRejectedAtOnce = false,
  ): void {
    const isMismatch = cause instanceof Mismatch;
    if (isMismatch) connection.refused.invalid++;
    const trouble = localTrouble(cause);
    const error = trouble ?? (cause instanceof Error ? cause : new Error(String(cause)));
    const known = error instanceof UserError;
    const message = (known ? error.message : (error.stack ?? error.message)).slice(0, MOST_MESSAGE);
    const blame = { mistake: known && !trouble, ...(trouble && { local: true }) };
    const sent = connection.send({ type: 'failure', term, round, unit, ...blame, message });
    if (!trouble && (isRejectedAtOnce || isMismatch || blame.mistake)) return;
    rounds = [];
    connection.end(error, sent);
  }

  return {
    /** Resolves when the worker has left. Rejects with a UserError if it is refused, or hears nothing for too long. */
    done: connection.done,
    /** Messages rejected since the start, by reason. */
    refused: () => ({ ...connection.refused }),
    /** Finishes the current unit, then leaves: with a `bye`, if the coordinator is there. */
    leave(): void {
      if (isLeaving) return;
      isLeaving = true;
      if (!isBusy) connection.goodbye();
      connection.endInSilence();
    },
  };
}

function describeWorker({ backend, backendName, why, name }: WorkerOptions): WorkerDescription {
  const { identity, device } = backend;
  return {
    identity,
    backend: backendName,
    ...(why !== undefined && { why: why.slice(0, MOST_WHY) }),
    ...(device && { gpu: device.name.slice(0, MOST_ABOUT) }),
    host: hostname().slice(0, MOST_ABOUT),
    pid: process.pid,
    name: name.slice(0, MOST_ABOUT),
  };
}

/** Memory usage of this process and its device, measured at most every MEMORY_MAX_AGE_MS. */
function memoryReader({ device }: Backend): () => MemoryUsage {
  let measuredAt = Number.NEGATIVE_INFINITY;
  let latest: MemoryUsage = { memory: 0 };
  return () => {
    if (performance.now() - measuredAt > MEMORY_MAX_AGE_MS) {
      const gpu = device?.memory?.();
      const gpuMemory = gpu && { used: Math.round(gpu.used), limit: Math.round(gpu.limit) };
      latest = { memory: process.memoryUsage.rss(), ...(gpuMemory && { gpuMemory }) };
      measuredAt = performance.now();
    }
    return latest;
  };
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Sleeps for a moment. A worker that starts to compute at once may occupy the core for which ZeroMQ's threads, which send the
 * same round to the next worker, are waiting: the scheduler leaves them there for milliseconds, even if another core is idle
 * (LOG.md).
 */
function yieldCore(): void {
  Atomics.wait(cell, 0, 0, YIELD_MS);
}
