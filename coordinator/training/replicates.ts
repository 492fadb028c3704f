import { yieldToEventLoop } from '../../base/slices.ts';
import { generator } from '../../model/random.ts';
import { halfSize } from '../../model/sampling/halves.ts';
import { ariOfLabels } from '../../model/scores.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { Task } from '../../proto/tasks.ts';
import type { Emit } from '../../view/events.ts';
import type { Replicates } from '../../view/summary.ts';
import { initialState } from './preparation/initial-state.ts';
import { publishTransform } from './publish.ts';
import type { Run } from './run-context.ts';
import { sampleOf } from './sample.ts';
import { train } from './train.ts';

/** Rows, at most, whose labels the replicates are compared by. */
const MOST_COMPARED = 20_000;

interface ReplicatesInput {
  run: Run;
  /** The rows whose priority is below `below`; `rows`: how many of them each shard has. */
  sample: { below: number; rows: number[] };
  count: number;
  emit: Emit;
  /** Ends them early: rejects with its reason before the next epoch. */
  signal?: AbortSignal;
}

/**
 * Trains `count` times more, each time on another half of the sample (and, where the likelihood has one, its own graph) and from
 * another net, and compares the number of clusters
 * and the labels of rows of the sample. Nothing is read, and nothing of the run itself changes.
 */
export async function replicate(input: ReplicatesInput): Promise<Replicates> {
  const { count, emit } = input;
  const ks: number[] = [];
  const labellings: Int32Array[] = [];
  for (let number = 1; number <= count; number++) {
    emit({ type: 'replicate', replicate: number, of: count, k: null });
    const { k, labels } = await labelSample(input, await trainOnHalf(input, number));
    ks.push(k);
    labellings.push(labels);
    emit({ type: 'replicate', replicate: number, of: count, k });
  }
  return { count, k: [Math.min(...ks), Math.max(...ks)], ks, agreement: await agreement(labellings) };
}

/** The width of the trained net, which the workers have. */
async function trainOnHalf({ run, sample, signal }: ReplicatesInput, number: number): Promise<number> {
  const { seed, config } = run;
  publishTransform(run, sample.below, number);
  const halves = sample.rows.map(halfSize);
  const half = sampleOf(sample.below, halves);
  const own: Run = {
    ...run,
    seed: seedOf(seed, number),
    sample: half,
    // Of half the rows, so that its resolution is chosen anew.
    likelihood: run.likelihood.ofSample(run),
    // Given, so that it does not grow.
    config: { ...config, sample: half.rows },
    emit: () => {},
  };
  const training = train(own, await initialState(own));
  for (;;) {
    const { done, value } = await training.next();
    if (done) return value.state.mixture.k;
    signal?.throwIfAborted();
  }
}

function seedOf(seed: bigint, number: number): bigint {
  const rng = generator(seed, 'replicate', number);
  return (BigInt(rng.uint32()) << 32n) | BigInt(rng.uint32());
}

/**
 * Clusters that have rows of the whole sample, and the labels of the same rows each time, by the net that the workers have;
 * `k`: its width.
 */
async function labelSample({ run, sample: { below, rows } }: ReplicatesInput, k: number) {
  publishTransform(run, below);
  const every = Math.max(1, Math.ceil(rows.reduce((a, b) => a + b, 0) / MOST_COMPARED));
  const task: Task = { task: 'sample-labels', every };
  const results = await run.dispatcher.round({
    tasks: [task],
    units: rows.map((_, shard): WorkUnit => ({ shard, from: 0, to: 0 })),
    sampled: rows,
  });
  const counts = new Float64Array(k);
  const labels: number[] = [];
  for (const { tasks } of results) {
    tasks[0].counts.data.forEach((n, c) => {
      counts[c] += n;
    });
    for (const label of tasks[0].labels.data) labels.push(label);
  }
  return { k: counts.filter((n) => n > 0).length, labels: Int32Array.from(labels) };
}

/** The mean adjusted Rand index of all pairs. */
async function agreement(labellings: Int32Array[]): Promise<number> {
  let [sum, pairs] = [0, 0];
  for (const [i, a] of labellings.entries())
    for (const b of labellings.slice(i + 1)) {
      await yieldToEventLoop();
      sum += ariOfLabels(a, b);
      pairs++;
    }
  return sum / pairs;
}
