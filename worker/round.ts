import { setImmediate } from 'node:timers/promises';
import { yieldToEventLoop } from '../base/slices.ts';
import type { Layout } from '../model/layout.ts';
import { fold, type PartialSum } from '../model/tree.ts';
import { prefixed } from '../proto/codec.ts';
import type { WorkUnit } from '../proto/messages.ts';
import type { AnyTask, TaskTable } from '../proto/tasks.ts';
import { nd, type Tensors, take } from '../proto/tensors.ts';
import type { RoundMessage, RoundStates } from './accept-round.ts';
import type { ReadBlocks } from './blocks.ts';
import type { Backend } from './compute/backends/backend.ts';

/** What a worker has for its tasks. */
export interface TaskInputs {
  backend: Backend;
  layout: Layout;
  readBlocks: ReadBlocks;
  /** Where parts of results are written; null until the coordinator has shown it. */
  folder(): string | null;
  /** A shard's raw sample rows, if the coordinator has those of priority below `below`. */
  sampleFrom(shard: number, below: number): Promise<Float32Array | null>;
  /** The texts of the rows of blocks, and their labels, which only the coordinator has (worker/blocks.ts). */
  textsOf(blocks: number[], k: number): Promise<Tensors>;
}

/** Computes the tasks of a run. */
export interface TaskContext {
  layout: Layout;
  /** Those that the coordinator last sent. */
  states: RoundStates;
  run(task: AnyTask, unit: WorkUnit): Promise<Tensors>;
  /** Rows read from the source since the last call. */
  rowsRead(): number;
  /** Frees everything on the device. The context must not be used afterwards. */
  free(): void;
}

/** The tasks that a worker is given. */
export interface Computation {
  tasks: TaskTable;
  open(inputs: TaskInputs): TaskContext;
}

/** How long results are collected for one message, ms: a message costs more than a small result. */
const COLLECT_MS = 20;
/** Sums are as large whatever they cover, and the coordinator takes 8 ns a byte or more: ten times as long are they collected, ms a byte. */
const COLLECT_MS_PER_BYTE = 8e-5;
/** But not for so long that the worker seems to be silent. */
const MOST_COLLECT_MS = 4500;
/** Maximum units and tensors in a message: their descriptions, up to 150 bytes each, have to fit in the header's frame. */
const MOST_ENTRIES = 1500;

/** The result of one unit, or the sum over several. */
interface UnitResults {
  units: WorkUnit[];
  tensors: Tensors;
}

/** The receiver of a round's results. */
export interface ResultsReceiver {
  /** True when results are no longer needed. */
  isOver(): boolean;
  /** Results: tensors of `units[i]` are named `i/…`. `seconds`: the time they took, by task. */
  done(units: WorkUnit[][], results: Tensors, seconds: Record<string, number>): void;
}

/**
 * Runs a round's tasks on its units, one after the other, and passes results to the listener as they are done: sums over nodes
 * of the summation tree if the round asks for sums. Returns the unit that failed and its error; null if all succeeded.
 */
export async function runUnits(
  context: TaskContext,
  { tasks, units, sum }: RoundMessage,
  listener: ResultsReceiver,
): Promise<{ unit: WorkUnit; error: unknown } | null> {
  let done: UnitResults[] = [];
  let nodes: PartialSum[] = [];
  let seconds: Record<string, number> = {};
  let sentAt = performance.now();
  let unsent = 0;
  const flush = () => {
    for (const { from, to, sums } of nodes)
      done.push({ units: unitsWithin(units, from, to), tensors: asTensors(sums) });
    if (!done.length) return;
    const results = prefixed(done.map(({ tensors }, i) => [i, tensors]));
    listener.done(
      done.map(({ units }) => units),
      results,
      seconds,
    );
    done = [];
    nodes = [];
    seconds = {};
    sentAt = performance.now();
    unsent = 0;
  };
  for (const unit of units) {
    if (listener.isOver()) break;
    try {
      const results: [number, Tensors][] = [];
      for (const [i, task] of tasks.entries()) {
        const start = performance.now();
        results.push([i, await context.run(task, unit)]);
        seconds[task.task] = (seconds[task.task] ?? 0) + (performance.now() - start) / 1000;
      }
      const tensors = prefixed(results);
      unsent += 1 + Object.keys(tensors).length;
      if (sum) fold(nodes, { from: unit.shard, to: unit.shard + 1, sums: asSums(tensors) });
      else done.push({ units: [unit], tensors });
    } catch (error) {
      return { unit, error };
    }
    if (unsent >= MOST_ENTRIES || performance.now() - sentAt > collectMs(nodes)) {
      flush();
      // Yield to the sockets and the ping.
      await setImmediate();
    } else await yieldToEventLoop();
  }
  flush();
  return null;
}

/** How long sums over these nodes are collected before they are sent. */
function collectMs(nodes: PartialSum[]): number {
  let bytes = 0;
  for (const { sums } of nodes) for (const values of Object.values(sums)) bytes += values.byteLength;
  return Math.min(MOST_COLLECT_MS, COLLECT_MS + COLLECT_MS_PER_BYTE * bytes);
}

const unitsWithin = (units: WorkUnit[], from: number, to: number) =>
  units.filter(({ shard }) => shard >= from && shard < to);

const asSums = (tensors: Tensors): PartialSum['sums'] =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { data }]) => [
      name,
      data instanceof Float32Array ? data : take(tensors, name, 'float64'),
    ]),
  );

const asTensors = (sums: PartialSum['sums']): Tensors =>
  Object.fromEntries(Object.entries(sums).map(([name, values]) => [name, nd(values)]));
