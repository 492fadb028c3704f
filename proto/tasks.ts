import * as z from 'zod/mini';
import { type Block, blockCount, type Layout, unitBlocks } from '../model/layout.ts';
import { bind, bytesOfSpecs, must, problemWith, type Sizes, type TensorSpecs } from './shapes.ts';
import { MAX_MESSAGE } from './task-limits.ts';
import type { Tensors } from './tensors.ts';

/**
 * What a task is, not which there are: an entry of a table says its parameters, the states that it reads, and its results with their
 * shapes and ranges. The schema of the wire, the checks of requests and of results follow from it.
 *
 * Sizes in shapes: `dim` columns of the data, n rows that a result is about; others follow from the states.
 */

/** Float32 numbers of a tensor: WebAssembly addresses 4 GiB. */
const MOST_NUMBERS = 2 ** 30;

/** A task as it is on the wire: its name and parameters. */
export interface AnyTask {
  task: string;
  [parameter: string]: unknown;
}

/** What a state consists of. */
export interface StateSpec {
  /** Its tensors, of which some may depend on whether others are there. */
  tensors: (given: Record<string, unknown>) => TensorSpecs;
  /** Checks what shapes do not say, and returns the sizes that follow from values. Comes before the shapes are checked. */
  sizes?: (tensors: Tensors, sizes: Sizes) => Sizes;
  /** Checks what ranges do not say. Comes last, and only at workers. */
  check?: (tensors: Tensors, sizes: Sizes) => void;
}

/** Checks one state, and adds the sizes that follow from it. Throws Mismatch. `values`: also the ranges of what it contains. */
function bindState(
  name: string,
  { tensors: specsFor, sizes: sizesFrom, check }: StateSpec,
  tensors: Tensors,
  sizes: Sizes,
  values: boolean,
): void {
  for (const [size, value] of Object.entries(sizesFrom?.(tensors, sizes) ?? {})) sizes[size] ??= value;
  bind(name, tensors, specsFor(tensors), sizes, values);
  if (values) check?.(tensors, sizes);
}

/** A row of the table. */
export interface TaskEntry<P extends z.core.$ZodLooseShape> {
  parameters: P;
  /** Its unit covers the sample of a shard, or blocks of rows. */
  rows: 'sample' | 'blocks';
  /** What is needed are sums of its results over shards, by the tree of model/tree.ts: they are float64 or float32. */
  sums: boolean;
  /** The states that it reads, in the order in which sizes follow from them. */
  reads: (task: z.infer<z.ZodMiniObject<P>>) => Record<string, StateSpec>;
  /** Sizes that follow from others and the parameters; at workers n is an upper limit. */
  sizes?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes, shard: number) => Sizes;
  /** Checks what shapes do not say. Throws Mismatch. */
  check?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes) => void;
  /** Float32 numbers of the largest tensor on the device. */
  largest?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes) => number;
  results: (
    task: z.infer<z.ZodMiniObject<P>>,
    states: Record<string, Record<string, unknown>>,
  ) => TensorSpecs;
  /** The largest that dimensions of results may be whose size only the worker knows. */
  limits?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes) => Sizes;
  /** Could rows give this result? What ranges do not say, where the coordinator would compute nonsense. */
  isPossible?: (result: Tensors, sizes: Sizes) => boolean;
}

/** An entry, whose functions get the parameters that it names. */
export const task = <P extends z.core.$ZodLooseShape>(entry: TaskEntry<P>) => entry;

/** The tasks of these entries. */
export type TaskIn<E, N extends keyof E> = N extends keyof E
  ? E[N] extends { parameters: infer P extends z.core.$ZodLooseShape }
    ? { task: N } & (keyof P extends never ? unknown : z.infer<z.ZodMiniObject<P>>)
    : never
  : never;

/** What a unit covers: a shard's sample, as a range of no blocks, or blocks `from … to−1` of it; of shard S those of the file. */
export interface UnitOfRows {
  shard: number;
  from: number;
  to: number;
}

/** The blocks of each shard, and the rows before each of them, which follow from a layout by a shuffle: found once. */
const shardsOf = (() => {
  const known = new WeakMap<Layout, { blocks: Block[][]; before: number[][] }>();
  return (layout: Layout) => {
    let found = known.get(layout);
    if (!found) {
      const blocks = unitBlocks(layout);
      const before = blocks.map((own) => {
        let rows = 0;
        return [0, ...own.map(({ count }) => (rows += count))];
      });
      known.set(layout, (found = { blocks, before }));
    }
    return found;
  };
})();

/** Says what is wrong with the results of a round's tasks for some units, or their sums over these; null: nothing. */
export type ResultCheck = (
  results: Tensors[],
  units: UnitOfRows[],
  sampled?: readonly number[],
) => string | null;

/** What is common to all tasks: parameters of any kind. */
type AnyEntry = TaskEntry<z.core.$ZodLooseShape>;

/** The tasks that a coordinator asks for and its workers compute. */
export type TaskTable = ReturnType<typeof taskTable>;

/**
 * The table of these tasks. `mostSampled`: the most rows that the sample of each shard can have, of as many rows, by the states that a
 * task reads.
 */
export function taskTable(
  entries: Record<string, { parameters: z.core.$ZodLooseShape }>,
  mostSampled: (shardRows: number[], states: Record<string, Tensors>) => number[],
) {
  const entryOf = ({ task }: AnyTask) => entries[task] as unknown as AnyEntry;
  const schemas = Object.entries(entries).map(([name, { parameters }]) =>
    z.object({ task: z.literal(name), ...parameters }),
  );

  /** Checks a task against the states that it reads, and says what is needed of its results. `values`: also the ranges of what states contain. */
  function checksOf(task: AnyTask, layout: Layout, get: (state: string) => Tensors, values: boolean) {
    const entry = entryOf(task);
    const of = shardsOf(layout);
    const { rows, dim, shards, blockRows } = layout;
    const numbers = Object.entries(task).filter(([, value]) => typeof value === 'number');
    const sizes: Sizes = {
      ...Object.fromEntries(numbers as [string, number][]),
      ...{ rows, dim, shards, blockRows, n: rows, blocks: blockCount(layout) },
    };
    const reads = entry.reads(task);
    for (const [state, spec] of Object.entries(reads)) {
      bindState(state, spec, get(state), sizes, values);
      Object.assign(sizes, entry.sizes?.(task, sizes, 0));
    }
    entry.check?.(task, sizes);
    const states = Object.fromEntries(Object.keys(reads).map((state) => [state, get(state)]));
    const specs = entry.results(task, states);
    /** `sampled`: the rows of each shard's sample, where they are known. */
    const sizesOf = (units: UnitOfRows[], sampled?: readonly number[]) => {
      let n = 0;
      for (const { shard, from, to } of units) {
        const before = of.before[shard];
        n += entry.rows === 'blocks' ? before[to] - before[from] : (sampled?.[shard] ?? before.at(-1)!);
      }
      const own = { ...sizes, n, unitBlocks: units[0].to - units[0].from };
      const all: Sizes = { ...own, ...entry.sizes?.(task, own, units[0].shard) };
      return { sizes: all, limits: entry.limits?.(task, all) ?? {} };
    };
    return { entry, states, sizes, specs, sizesOf };
  }

  /**
   * Checks a round before any work: do its states have the shapes that its tasks read, are its units there, do its results fit in
   * messages and on the device? Kernels work on addresses and sizes; with inconsistent shapes they would access memory outside of their
   * tensors. Throws Mismatch.
   */
  function checkRound(
    layout: Layout,
    get: (state: string) => Tensors,
    { tasks, units, sum }: { tasks: AnyTask[]; units: UnitOfRows[]; sum: boolean },
  ): void {
    const { blocks, before } = shardsOf(layout);
    for (const { shard, from, to } of units)
      must(shard < blocks.length && from <= to && to <= blocks[shard].length, 'there is no such unit');
    for (const task of tasks) {
      const isOfShards = units.every(({ shard }) => shard < layout.shards);
      must(isOfShards || entryOf(task).rows === 'blocks', 'it is about the rows of a shard');
      const { entry, states, sizes, specs, sizesOf } = checksOf(task, layout, get, true);
      must(!sum || entry.sums, 'its results cannot be added up');
      const largest = entry.largest?.(task, sizes) ?? 0;
      must(largest < MOST_NUMBERS, 'it needs a tensor of 4 GiB or more');
      const sampled = mostSampled(
        before.map((rows) => rows.at(-1)!),
        states,
      );
      for (const unit of units) {
        const unitSizes = sizesOf([unit], sampled);
        must(
          bytesOfSpecs(specs, unitSizes.sizes, unitSizes.limits) <= MAX_MESSAGE,
          'its result would not fit in a message',
        );
      }
    }
  }

  /** The check of the results of these tasks, given the states that they read. Throws Mismatch if these do not fit the tasks. */
  function resultCheck(layout: Layout, tasks: AnyTask[], get: (state: string) => Tensors): ResultCheck {
    const checks = tasks.map((task) => checksOf(task, layout, get, false));
    return (results, units, sampled) => {
      for (const [i, { entry, specs, sizesOf }] of checks.entries()) {
        const { sizes, limits } = sizesOf(units, sampled);
        const problem = problemWith(results[i], specs, sizes, limits);
        if (problem) return `${tasks[i].task}: ${problem}`;
        if (entry.isPossible?.(results[i], sizes) === false) return `${tasks[i].task}: no rows give it`;
      }
      return null;
    };
  }

  return {
    names: Object.keys(entries),
    /** A task as it is on the wire. */
    schema: z.discriminatedUnion('task', schemas as never) as unknown as z.ZodMiniType<AnyTask>,
    /** The names of the states that the task reads. */
    statesOf: (task: AnyTask): string[] => Object.keys(entryOf(task).reads(task)),
    checkRound,
    resultCheck,
  };
}
