import { hostname } from 'node:os';
import { UserError } from '../base/user-error.ts';
import { block, type Layout } from '../model/layout.ts';
import {
  type FromCoordinator,
  type FromWorker,
  MOST_ABOUT,
  MOST_WHY,
  type WorkUnit,
} from '../proto/messages.ts';
import type { Tensors } from '../proto/tensors.ts';
import { fileBlocks, servedBlocks } from './blocks.ts';
import { InvalidRound } from './checks.ts';
import type { Backend } from './compute/backends/backend.ts';
import { BackendFailure } from './compute/backends/errors.ts';
import {
  type ConnectionOptions,
  CoordinatorConnection,
  type Request,
  type WorkerDescription,
} from './connection.ts';
import { type Context, createContext } from './context.ts';
import { openVisible } from './data-root.ts';
import { createFetches, type Fetches, Superseded } from './fetches.ts';
import type { Meter } from './meter.ts';
import { acceptRound, type RoundMessage, runUnits } from './round.ts';
import { createStates } from './states.ts';

export interface WorkerOptions extends ConnectionOptions {
  backend: Backend;
  backendName: string;
  /** Why it was taken, for people. */
  why?: string;
  name: string;
  /** Files outside of this folder are not opened, whatever the coordinator says. */
  dataRoot: string;
  /** Counts what it does. */
  meter?: Meter;
}

type Welcome = Extract<FromCoordinator, { type: 'welcome' }>;
type MemoryUsage = Pick<Extract<FromWorker, { type: 'results' }>, 'memory' | 'gpuMemory'>;

/** Rounds that wait: a coordinator has one at a time, in a few messages. */
const MOST_ROUNDS = 1024;
/** How often memory is looked up, ms: the system takes its time to answer. */
const MEMORY_MS = 500;
/** Characters of what went wrong in a task. */
const MOST_MESSAGE = 4000;
/** Long enough that this thread really leaves its core, ms. */
const YIELD_MS = 0.06;

/**
 * Serves a coordinator until it says stop: joins, then runs the units of each round in turn and answers each. When the
 * connection is cut, or the coordinator starts anew, it joins again.
 */
export class Worker {
  /** Resolves when it has left; rejects with a UserError if it is refused, or hears nothing for too long. */
  readonly done: Promise<void>;

  readonly #options: WorkerOptions;
  readonly #connection: CoordinatorConnection;
  readonly #fetches: Fetches;
  readonly #memory: () => MemoryUsage;
  /** The coordinator's process that welcomed this worker; what another one asked for counts no more. */
  #term: number | null = null;
  /** Null until the rows of this term can be read. */
  #context: Context | null = null;
  #closeFile = () => {};
  /** Those that wait, and the number of the latest. */
  #rounds: { header: RoundMessage; tensors: Tensors }[] = [];
  #latest = 0;
  #isBusy = false;
  #working = Promise.resolve();
  #isLeaving = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#memory = memoryReader(options.backend);
    this.#connection = new CoordinatorConnection(options, aboutOf(options), (request, tensors) =>
      this.#receive(request, tensors),
    );
    this.done = this.#connection.done;
    this.#fetches = createFetches(
      (request, blocks) => void this.#connection.send({ type: 'fetch', request, blocks }),
    );
  }

  /** Messages that were refused since the start, by reason. */
  refused(): CoordinatorConnection['refused'] {
    return { ...this.#connection.refused };
  }

  /** Finishes the unit at hand and says goodbye, if somebody is there. */
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
          this.#connection.ignore('unasked', 'rows that nobody asked for, or not those');
        break;
    }
  }

  async #join(welcome: Welcome): Promise<void> {
    this.#rounds = [];
    if (welcome.term === this.#term) {
      // A new connection to the same coordinator.
      this.#fetches.repeat();
      return;
    }
    this.#term = welcome.term;
    this.#latest = 0;
    this.#fetches.drop();
    const old = this.#context;
    this.#context = null;
    await this.#working;
    old?.free();
    this.#closeFile();
    this.#closeFile = () => {};
    const { backend, dataRoot, log, meter } = this.#options;
    const { worker, file, layout } = welcome;
    const own = file && (await openVisible(dataRoot, file, layout, log));
    if (this.#term !== welcome.term) {
      own?.close();
      return;
    }
    if (own) this.#closeFile = own.close;
    if (meter) meter.joined = true;
    const rows = own ? fileBlocks(own) : this.#servedBlocks(layout);
    this.#context = createContext(backend, createStates(backend), rows, layout);
    log(`joined as ${worker}; rows come from ${own ? file.path : 'the coordinator'}`);
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
      this.#connection.ignore('too many', `${MOST_ROUNDS} rounds wait already`);
      return;
    }
    this.#latest = Math.max(this.#latest, header.round);
    this.#rounds.push({ header, tensors });
    this.#work();
  }

  /** Runs the rounds that wait, unless that is under way. */
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
      // Of a round that is over the states may be older than those here: nobody waits for it.
      if (header.units.length && round >= this.#latest) this.#fail(header, header.units[0], error);
      return;
    }
    const failed = await runUnits(context, header, {
      isOver: () => this.#isLeaving || this.#connection.isOver || term !== this.#term || round < this.#latest,
      done: (done, results, seconds) => {
        const rowsRead = context.rowsRead();
        this.#options.meter?.count(done, seconds, rowsRead);
        const about = { term, round, done, seconds, rowsRead, ...this.#memory() };
        void this.#connection.send({ type: 'results', ...about }, results);
      },
    });
    if (!failed || failed.error instanceof Superseded || term !== this.#term) return;
    // The others take over what it had; with none left, the run waits.
    if (failed.error instanceof BackendFailure) this.#connection.goodbye(failed.error);
    else this.#fail(header, failed.unit, failed.error);
  }

  #fail({ term, round }: RoundMessage, unit: WorkUnit, error: unknown): void {
    if (error instanceof InvalidRound) this.#connection.refused.unsound++;
    const mistake = error instanceof UserError;
    const message = String(mistake ? error.message : ((error as Error).stack ?? error)).slice(
      0,
      MOST_MESSAGE,
    );
    void this.#connection.send({ type: 'failure', term, round, unit, mistake, message });
  }
}

function aboutOf({ backend, backendName, why, name }: WorkerOptions): WorkerDescription {
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

/** MemoryUsage of this process, and of its device, as it was a moment ago. */
function memoryReader({ device }: Backend): () => MemoryUsage {
  let at = Number.NEGATIVE_INFINITY;
  let known: MemoryUsage = { memory: 0 };
  return () => {
    if (performance.now() - at > MEMORY_MS) {
      const found = device?.memory?.();
      const whole = found && { used: Math.round(found.used), limit: Math.round(found.limit) };
      known = { memory: process.memoryUsage.rss(), ...(whole && { gpuMemory: whole }) };
      at = performance.now();
    }
    return known;
  };
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Sleeps for a moment. A worker that goes to work at once may hold the core on which ZeroMQ's threads wait that carry
 * the same round to the next worker: the scheduler leaves them there for milliseconds, even beside an idle core (LOG.md).
 */
function yieldCore(): void {
  Atomics.wait(cell, 0, 0, YIELD_MS);
}
