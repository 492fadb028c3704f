import { hostname } from 'node:os';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { block, type Layout } from '../model/layout.ts';
import {
  type FromCoordinator,
  type FromWorker,
  MOST_ABOUT,
  MOST_WHY,
  type WorkUnit,
} from '../proto/messages.ts';
import { Mismatch } from '../proto/shapes.ts';
import type { Tensors } from '../proto/tensors.ts';
import { createFetches, type Fetches, fileBlocks, openVisible, Superseded, servedBlocks } from './blocks.ts';
import type { Backend } from './compute/backends/backend.ts';
import {
  type ConnectionOptions,
  CoordinatorConnection,
  type Request,
  type WorkerDescription,
} from './connection.ts';
import { type Context, createContext } from './context.ts';
import type { Meter } from './http.ts';
import { acceptRound, type RoundMessage, runUnits } from './round.ts';
import { createStates } from './states.ts';
import { localTrouble } from './trouble.ts';

export interface WorkerOptions extends ConnectionOptions {
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
export class Worker {
  /** Resolves when the worker has left. Rejects with a UserError if it is refused, or hears nothing for too long. */
  readonly done: Promise<void>;

  readonly #options: WorkerOptions;
  readonly #connection: CoordinatorConnection;
  readonly #fetches: Fetches;
  readonly #memory: () => MemoryUsage;
  /** The coordinator's term that this worker has joined. Rounds and rows of another term are ignored. */
  #term: number | null = null;
  /** The welcome that is in force. */
  #welcome: Welcome | null = null;
  /** Null until the data of this term can be read. */
  #context: Context | null = null;
  #closeFile = () => {};
  /** The queue of rounds. */
  #rounds: { header: RoundMessage; tensors: Tensors }[] = [];
  /** The highest number of a round that has arrived. */
  #latest = 0;
  #isBusy = false;
  #working = Promise.resolve();
  #isLeaving = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#memory = memoryReader(options.backend);
    this.#connection = new CoordinatorConnection(options, describeWorker(options), (request, tensors) =>
      this.#receive(request, tensors),
    );
    this.done = this.#connection.done;
    this.#fetches = createFetches(
      (request, blocks) => void this.#connection.send({ type: 'fetch', request, blocks }),
    );
  }

  /** Messages rejected since the start, by reason. */
  refused(): CoordinatorConnection['refused'] {
    return { ...this.#connection.refused };
  }

  /** Finishes the current unit, then leaves: with a `bye`, if the coordinator is there. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    if (!this.#isBusy) this.#connection.goodbye();
    this.#connection.endInSilence();
  }

  #receive(header: Request, tensors: Tensors): void {
    switch (header.type) {
      case 'welcome':
        void this.#join(header).catch((error) => this.#connection.end(error));
        break;
      case 'round':
        this.#queue(header, tensors);
        break;
      case 'rows':
        if (!this.#fetches.answered(header, tensors))
          this.#connection.ignore('unrequested', 'rows that were not requested, or of the wrong length');
        break;
    }
  }

  async #join(welcome: Welcome): Promise<void> {
    this.#rounds = [];
    const sameTerm = welcome.term === this.#term;
    if (sameTerm && Boolean(welcome.file) === Boolean(this.#welcome?.file)) {
      // A new connection to the same coordinator.
      this.#fetches.repeat();
      return;
    }
    this.#welcome = welcome;
    this.#term = welcome.term;
    if (!sameTerm) this.#latest = 0;
    this.#fetches.drop();
    const previous = this.#context;
    this.#context = null;
    await this.#working;
    previous?.free();
    this.#closeFile();
    this.#closeFile = () => {};
    const { backend, dataRoots, log, meter } = this.#options;
    const { worker, file, layout } = welcome;
    const source = file && (await openVisible(dataRoots, file, layout, log));
    // Another welcome may have arrived meanwhile.
    if (this.#welcome !== welcome) {
      source?.close();
      return;
    }
    if (source) this.#closeFile = source.close;
    if (meter) meter.joined = true;
    const readBlocks = source ? fileBlocks(source) : this.#servedBlocks(layout);
    this.#context = createContext(backend, createStates(backend), readBlocks, layout);
    log(`joined as ${worker}; rows come from ${source ? oneLine(file.path) : 'the coordinator'}`);
    this.#work();
  }

  #servedBlocks(layout: Layout) {
    const lengthOf = (blocks: number[]) =>
      blocks.reduce((sum, index) => sum + block(layout, index).count, 0) * layout.dim;
    return servedBlocks((blocks) => this.#fetches.ask(blocks, lengthOf(blocks)), layout.dim);
  }

  #queue(header: RoundMessage, tensors: Tensors): void {
    if (header.term !== this.#term) return;
    if (this.#rounds.length >= MOST_ROUNDS) {
      this.#connection.ignore('too many', `${MOST_ROUNDS} rounds are queued already`);
      return;
    }
    this.#latest = Math.max(this.#latest, header.round);
    this.#rounds.push({ header, tensors });
    this.#work();
  }

  /** Starts running the queued rounds, unless they are running already. */
  #work(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#working = this.#runRounds().catch((error) => this.#connection.end(error));
  }

  async #runRounds(): Promise<void> {
    while (this.#context && this.#rounds.length && !this.#isLeaving && !this.#connection.isOver) {
      const { header, tensors } = this.#rounds.shift()!;
      await this.#run(this.#context, header, tensors);
    }
    this.#isBusy = false;
    if (this.#isLeaving && !this.#connection.isOver) this.#connection.goodbye();
  }

  async #run(context: Context, header: RoundMessage, tensors: Tensors): Promise<void> {
    const { term, round } = header;
    yieldCore();
    try {
      acceptRound(context, header, tensors);
    } catch (error) {
      // A round that is over may have states older than those here. Its results are not needed any more.
      if (header.units.length && round >= this.#latest) this.#failed(header, header.units[0], error, true);
      return;
    }
    const failed = await runUnits(context, header, {
      isOver: () =>
        this.#isLeaving || this.#connection.isOver || context !== this.#context || round < this.#latest,
      done: (done, results, seconds) => {
        const rowsRead = context.rowsRead();
        this.#options.meter?.count(done, seconds, rowsRead);
        const message = { term, round, done, seconds, rowsRead, ...this.#memory() };
        void this.#connection.send({ type: 'results', ...message }, results);
      },
    });
    if (!failed || failed.error instanceof Superseded || context !== this.#context) return;
    this.#failed(header, failed.unit, failed.error);
  }

  /**
   * Reports a failure. This worker leaves, and others take over; if there are none, the run waits. Only if the data are to
   * blame, or the round, which does not fit its states or was rejected before any work, the coordinator decides what becomes of
   * it.
   */
  #failed({ term, round }: RoundMessage, unit: WorkUnit, cause: unknown, isRejectedAtOnce = false): void {
    const isRejected = isRejectedAtOnce || cause instanceof Mismatch;
    if (cause instanceof Mismatch) this.#connection.refused.invalid++;
    const trouble = localTrouble(cause);
    const error = trouble ?? (cause instanceof Error ? cause : new Error(String(cause)));
    const known = error instanceof UserError;
    const message = (known ? error.message : (error.stack ?? error.message)).slice(0, MOST_MESSAGE);
    const blame = { mistake: known && !trouble, ...(trouble && { local: true }) };
    const sent = this.#connection.send({ type: 'failure', term, round, unit, ...blame, message });
    if (!trouble && (isRejected || blame.mistake)) return;
    this.#rounds = [];
    this.#connection.end(error, sent);
  }
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
