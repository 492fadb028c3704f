import * as z from 'zod/mini';
import { list, record } from '../base/schema.ts';
import { oneLine, printable } from '../base/text.ts';
import { layout } from './layout.ts';
import type { AnyTask } from './tasks.ts';

/** The messages between coordinator and worker, as schemas with limits (README.md says what each means). Neither bytes nor sockets. */

/** Increased with every change that an older peer would misread. */
export const PROTOCOL = 14;

const count = z.int().check(z.nonnegative());
const text = z.string().check(z.maxLength(4096));
/** Characters of a worker's texts about itself, which appear in events and on terminals. */
export const MOST_ABOUT = 128;
export const MOST_WHY = 256;
const line = (most: number) => z.string().check(z.maxLength(most), z.overwrite(oneLine));
const about = line(MOST_ABOUT);

/** Blocks `from … to−1` of a shard's list of blocks, or of all blocks of the file if `shard` is the number of shards. */
const unit = z.object({ shard: count, from: count, to: count });
export type WorkUnit = z.infer<typeof unit>;

const named = { name: z.string().check(z.maxLength(64)), version: count };

/** In one round; no coordinator sends more. */
const MOST_TASKS = 64;
const MOST_UNITS = 1 << 16;
export const MOST_STATES = 256;

/** Units in a `results` and blocks in a `fetch`: headers of workers have to fit in one frame. */
export const MOST_DONE = 1 << 16;
export const MOST_FETCHED = 1 << 15;

/** Results of so many bytes, or more, wait until the coordinator asks for them. */
export const LARGE_RESULT = 1 << 20;

/** Seconds by task. The coordinator ignores names that are not tasks. */
const seconds = record(z.string().check(z.maxLength(64)), z.number().check(z.nonnegative())).check(
  z.refine((value) => Object.keys(value).length <= MOST_TASKS),
);
const session = z.string().check(z.regex(/^[0-9a-f]{32}$/));
export const MOST_RELAYS = 1024;
/** Behind a relay. */
const workers = z.int().check(z.gte(1), z.lte(1 << 16));
const done = list(
  list(unit, z.minLength(1), z.maxLength(MOST_DONE)),
  z.minLength(1),
  z.maxLength(MOST_DONE),
).check(z.refine((value) => value.reduce((sum, { length }) => sum + length, 0) <= MOST_DONE));

export const fromWorker = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    protocol: count,
    /** Its `buildId`; absent if it is another program that speaks this protocol. */
    version: z.optional(about),
    identity: about,
    backend: about,
    /** Why this backend was chosen, for logs. */
    why: z.optional(line(MOST_WHY)),
    host: about,
    pid: count,
    name: about,
    /** Random, by the worker's process, and the same in all its hellos: identifies it on a new connection. */
    session,
    /** Model name of the device that computes; absent if that is the CPU. */
    gpu: z.optional(about),
    /** Of a relay, the number of its workers, and the sessions of it and of the relays behind it. */
    workers: z.optional(workers),
    relays: z.optional(list(session, z.maxLength(MOST_RELAYS))),
  }),
  /** A relay has another number of workers now. */
  z.object({ type: z.literal('workers'), workers }),
  /**
   * Results of a round. An entry of `done` is a single unit, or several whose results are summed, if the round asks for sums.
   * Tensors are named `index in done/index in tasks/name`. `seconds`: the time of each task over all of these units.
   */
  z.object({
    type: z.literal('results'),
    term: count,
    round: count,
    done,
    seconds,
    rowsRead: count,
    memory: count,
    /** Memory of the device, bytes. */
    gpuMemory: z.optional(z.object({ used: count, limit: count })),
  }),
  /** Results of so many bytes, about the shards from `first` on, can be sent: those of a mebibyte or more wait for a `send`. */
  z.object({ type: z.literal('ready'), term: count, bytes: count, first: count }),
  /**
   * A task failed. `mistake`: by the user's fault (for example a truncated file), not by a bug. `local`: by the fault of this
   * worker's machine (memory, disk), not of the task.
   */
  z.object({
    type: z.literal('failure'),
    term: count,
    round: count,
    unit,
    mistake: z.boolean(),
    local: z.optional(z.boolean()),
    message: text.check(z.overwrite(printable)),
  }),
  /**
   * Asks for the rows of blocks, as the worker cannot read the file; or, with `sample`, for those of a shard whose priority is below
   * `below`, as other workers read them; or, with `texts`, for the texts of the rows of blocks, and their labels.
   */
  z.object({
    type: z.literal('fetch'),
    request: count,
    blocks: list(count, z.maxLength(MOST_FETCHED)).check(
      z.refine((blocks) => new Set(blocks).size === blocks.length),
    ),
    sample: z.optional(z.object({ shard: count, below: z.number() })),
    texts: z.optional(z.literal(true)),
  }),
  /** Answers a `folder`. `problem`: why the worker cannot write there. */
  z.object({ type: z.literal('sees'), problem: z.optional(text.check(z.overwrite(oneLine))) }),
  z.object({ type: z.literal('ping') }),
  z.object({ type: z.literal('bye') }),
]);

/** `task`: the schema of those that workers compute. */
export const fromCoordinator = (task: z.ZodMiniType<AnyTask>) =>
  z.discriminatedUnion('type', [
    z.object({
      type: z.literal('welcome'),
      worker: about,
      /** Random, by the coordinator's process. Rounds and states of another term are void. */
      term: count,
      /**
       * The data file, if workers may read it themselves; `array`: the name of that with the rows, of a file that has several;
       * `firstBlock` is the hash of block 0.
       */
      file: z.nullable(z.object({ path: text, array: z.optional(text), firstBlock: text })),
      layout,
    }),
    /** Workers write results into this folder, which has a file `seen` with the token. */
    z.object({ type: z.literal('folder'), path: text, token: z.string().check(z.regex(/^[0-9a-f]{32}$/)) }),
    /** `identity`: that of the run, if it is the reason. `retry`: refused temporarily; say hello again. */
    z.object({
      type: z.literal('refuse'),
      reason: text.check(z.overwrite(oneLine)),
      identity: z.optional(about),
      retry: z.optional(z.boolean()),
    }),
    /** No hello came on this connection: say it (again). */
    z.object({ type: z.literal('who') }),
    /** Asks for the results that were `ready` first. */
    z.object({ type: z.literal('send') }),
    /** Answers a ping. `rests`: this worker gets no units for now, and why. */
    z.object({ type: z.literal('pong'), rests: z.optional(text.check(z.overwrite(oneLine))) }),
    z.object({
      type: z.literal('round'),
      term: count,
      round: count,
      tasks: list(task, z.maxLength(MOST_TASKS)),
      units: list(unit, z.maxLength(MOST_UNITS)),
      /**
       * Only sums of the results are needed, all float64 or float32: a worker may sum aligned power-of-two ranges of shards
       * (model/tree.ts).
       */
      sum: z.boolean(),
      /** Units read their rows from the source: any worker of a relay may take them. */
      streams: z.optional(z.boolean()),
      /** Of each unit, the rows of its shard’s sample, by which a relay checks results. */
      sampled: z.optional(list(count, z.maxLength(MOST_UNITS))),
      /** All states that the tasks read. */
      uses: list(z.object(named), z.maxLength(MOST_STATES)),
      /** Those of them that this worker does not have yet; their tensors are named `state/name`. */
      states: list(z.object(named), z.maxLength(MOST_STATES)),
    }),
    /** Answers a `fetch`; without rows if it was for a sample that the coordinator does not have. */
    z.object({
      type: z.literal('rows'),
      request: count,
      blocks: list(count, z.maxLength(MOST_FETCHED)),
      problem: z.optional(text.check(z.overwrite(oneLine))),
    }),
    z.object({
      type: z.literal('stop'),
      /** How the run ended, and the exit code of its command; absent where the worker is to leave alone. */
      ended: z.optional(z.object({ how: z.enum(['done', 'stopped', 'failed']), code: count })),
    }),
  ]);

/** How a run ended, and the exit code of its command. */
export type RunEnd = NonNullable<Extract<FromCoordinator, { type: 'stop' }>['ended']>;
export type FromWorker = z.infer<typeof fromWorker>;
export type FromCoordinator = z.infer<ReturnType<typeof fromCoordinator>>;
