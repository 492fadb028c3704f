import * as z from 'zod/mini';
import { oneLine, printable } from '../base/text.ts';
import { layoutProblem } from '../model/layout.ts';
import { taskSchema } from './tasks.ts';
import { DTYPES } from './tensors.ts';

/** Raised with every change that an older peer would misread. */
export const PROTOCOL = 2;

const count = z.int().check(z.nonnegative());
const text = z.string().check(z.maxLength(4096));
/** What a worker says of itself, in events and on terminals. */
export const MOST_ABOUT = 128;
export const MOST_WHY = 256;
const line = (most: number) => z.string().check(z.maxLength(most), z.overwrite(oneLine));
const about = line(MOST_ABOUT);

export const tensorsSchema = z.array(
  z.object({
    name: z.string().check(z.maxLength(64)),
    dtype: z.enum(DTYPES),
    shape: z.array(count).check(z.maxLength(4)),
    /** Which frame, the header being 0, and where in it the tensor starts. */
    frame: z.int().check(z.positive()),
    at: count,
  }),
);

/** Blocks `from … to−1` of a shard's list. */
const unit = z.object({ shard: count, from: count, to: count });
export type WorkUnit = z.infer<typeof unit>;

const named = { name: z.string().check(z.maxLength(64)), version: count };

/** How rows are cut into blocks and dealt to shards (model/layout.ts). */
export const layout = z
  .object({
    rows: count,
    dim: count,
    shards: count,
    blockRows: count,
    seed: z.string().check(z.regex(/^\d{1,20}$/)),
  })
  .check(z.refine((found) => layoutProblem(found) === null));

/** Of one round: more is no coordinator's. */
const MOST_TASKS = 64;
const MOST_UNITS = 1 << 16;
export const MOST_STATES = 256;

/** As a worker cuts them: no longer than fits in its one frame. */
export const MOST_DONE = 1 << 16;
export const MOST_FETCHED = 1 << 15;

/** By task; those of other names are not counted. */
const seconds = z
  .record(z.string().check(z.maxLength(64)), z.number().check(z.nonnegative()))
  .check(z.refine((found) => Object.keys(found).length <= MOST_TASKS));
const done = z
  .array(z.array(unit).check(z.minLength(1), z.maxLength(MOST_DONE)))
  .check(z.minLength(1), z.maxLength(MOST_DONE))
  .check(z.refine((found) => found.reduce((sum, { length }) => sum + length, 0) <= MOST_DONE));

export const fromWorker = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    protocol: count,
    identity: about,
    backend: about,
    /** Why this backend was taken, for people. */
    why: z.optional(line(MOST_WHY)),
    host: about,
    pid: count,
    name: about,
    /** Drawn by the worker's process, the same at every hello: so it is known again on a new connection. */
    session: z.string().check(z.regex(/^[0-9a-f]{32}$/)),
    /** The device that computes, as its maker calls it; absent where that is the processor. */
    gpu: z.optional(about),
  }),
  /**
   * What units of a round gave: one each, or the sum over several where the round asks for sums. Tensors are named
   * `place in done/place in tasks/name`. `seconds`: how long each task took, over all of these units.
   */
  z.object({
    type: z.literal('results'),
    term: count,
    round: count,
    done,
    seconds,
    rowsRead: count,
    memory: count,
    /** Of the device, bytes. */
    gpuMemory: z.optional(z.object({ used: count, limit: count })),
  }),
  /** A task failed. A `mistake` is the user's (a short file), all else is a bug. */
  z.object({
    type: z.literal('failure'),
    term: count,
    round: count,
    unit,
    mistake: z.boolean(),
    message: text.check(z.overwrite(printable)),
  }),
  /** Asks for the rows of blocks, as the worker can't see the file. */
  z.object({
    type: z.literal('fetch'),
    request: count,
    blocks: z
      .array(count)
      .check(z.maxLength(MOST_FETCHED))
      .check(z.refine((blocks) => new Set(blocks).size === blocks.length)),
  }),
  z.object({ type: z.literal('ping') }),
  z.object({ type: z.literal('bye') }),
]);

export const fromCoordinator = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('welcome'),
    worker: about,
    /** Drawn by the coordinator's process; what a worker knows from another term counts no more. */
    term: count,
    /** The data file, where workers may read it themselves; `firstBlock` is the hash of its block 0. */
    file: z.nullable(z.object({ path: text, firstBlock: text })),
    layout,
  }),
  /** `identity`: the run's, where that is the reason. `retry`: for now only; say hello again. */
  z.object({
    type: z.literal('refuse'),
    reason: text.check(z.overwrite(oneLine)),
    identity: z.optional(about),
    retry: z.optional(z.boolean()),
  }),
  /** This connection has not said hello; say it (again). */
  z.object({ type: z.literal('who') }),
  /** Answers a ping. */
  z.object({ type: z.literal('pong') }),
  z.object({
    type: z.literal('round'),
    term: count,
    round: count,
    tasks: z.array(taskSchema).check(z.maxLength(MOST_TASKS)),
    units: z.array(unit).check(z.maxLength(MOST_UNITS)),
    /** Results are float64 and wanted as sums: a worker may add up aligned powers of two of shards (model/tree.ts). */
    sum: z.boolean(),
    /** All states that the tasks read. */
    uses: z.array(z.object(named)).check(z.maxLength(MOST_STATES)),
    /** Those that this worker does not have yet; their tensors are named `state/name`. */
    states: z.array(z.object(named)).check(z.maxLength(MOST_STATES)),
  }),
  z.object({
    type: z.literal('rows'),
    request: count,
    blocks: z.array(count).check(z.maxLength(MOST_FETCHED)),
    problem: z.optional(text.check(z.overwrite(oneLine))),
  }),
  z.object({ type: z.literal('stop') }),
]);

export type FromWorker = z.infer<typeof fromWorker>;
export type FromCoordinator = z.infer<typeof fromCoordinator>;
export type Layout = z.infer<typeof layout>;
export type StateRef = z.infer<z.ZodMiniObject<typeof named>>;
