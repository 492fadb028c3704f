import { setImmediate } from 'node:timers/promises';
import { fold, type Node } from '../model/tree.ts';
import { prefixed, unprefixed } from '../proto/codec.ts';
import type { FromCoordinator, WorkUnit } from '../proto/messages.ts';
import { nd, type Tensors, take } from '../proto/tensors.ts';
import { checkTask, checkUnit } from './checks.ts';
import type { Context } from './context.ts';
import { runTask } from './tasks/index.ts';

export type RoundMessage = Extract<FromCoordinator, { type: 'round' }>;

/** Results that follow each other this soon share a message, ms: a message costs more than a small result. */
const RESULTS_MS = 20;
/** Units and tensors of one message: what it says of each, 150 bytes at most, has to fit in its header, a frame. */
const MOST_SAID = 1500;

/** What units gave: the tensors of one, or the sums over several. */
interface UnitResults {
  units: WorkUnit[];
  tensors: Tensors;
}

/** Who waits for a round's results. */
export interface RoundListener {
  /** Nobody does any more. */
  isOver(): boolean;
  /** Units that are done, each list with its result under its place, and what they took, by task. */
  done(units: WorkUnit[][], results: Tensors, seconds: Record<string, number>): void;
}

/** Stores the states that a round brings, and checks all of it before any work. InvalidRound where it cannot be done. */
export function acceptRound(
  { states, layout, shards }: Context,
  header: RoundMessage,
  tensors: Tensors,
): void {
  for (const { name, version } of header.states) states.put(name, version, unprefixed(tensors, name));
  for (const { name, version } of header.uses) states.check(name, version);
  for (const task of header.tasks) checkTask(task, states, layout);
  for (const unit of header.units) checkUnit(unit, shards);
}

/**
 * Runs a round's tasks on its units, one after the other, and answers as they are done: with sums over what makes a node of
 * the tree, where only sums are wanted. Returns the unit that failed, and why.
 */
export async function runUnits(
  context: Context,
  { tasks, units, sum }: RoundMessage,
  answers: RoundListener,
): Promise<{ unit: WorkUnit; error: unknown } | null> {
  let done: UnitResults[] = [];
  let nodes: Node[] = [];
  let seconds: Record<string, number> = {};
  let sent = performance.now();
  let unsent = 0;
  const answer = () => {
    for (const { from, to, sums } of nodes)
      done.push({ units: unitsWithin(units, from, to), tensors: asTensors(sums) });
    if (!done.length) return;
    const found = prefixed(done.map(({ tensors }, i) => [i, tensors]));
    answers.done(
      done.map(({ units }) => units),
      found,
      seconds,
    );
    done = [];
    nodes = [];
    seconds = {};
    sent = performance.now();
    unsent = 0;
  };
  for (const unit of units) {
    if (answers.isOver()) break;
    try {
      const results: [number, Tensors][] = [];
      for (const [i, task] of tasks.entries()) {
        const start = performance.now();
        results.push([i, await runTask(context, task, unit)]);
        seconds[task.task] = (seconds[task.task] ?? 0) + (performance.now() - start) / 1000;
      }
      const found = prefixed(results);
      unsent += 1 + Object.keys(found).length;
      if (sum) fold(nodes, { from: unit.shard, to: unit.shard + 1, sums: asSums(found) });
      else done.push({ units: [unit], tensors: found });
    } catch (error) {
      return { unit, error };
    }
    if (unsent >= MOST_SAID || performance.now() - sent > RESULTS_MS) {
      answer();
      // The sockets and the ping get their turn.
      await setImmediate();
    }
  }
  answer();
  return null;
}

const unitsWithin = (units: WorkUnit[], from: number, to: number) =>
  units.filter(({ shard }) => shard >= from && shard < to);

const asSums = (tensors: Tensors): Node['sums'] =>
  Object.fromEntries(Object.keys(tensors).map((name) => [name, take(tensors, name, 'float64')]));

const asTensors = (sums: Node['sums']): Tensors =>
  Object.fromEntries(Object.entries(sums).map(([name, values]) => [name, nd(values)]));
