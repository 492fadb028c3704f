import { halfSize } from '../../model/layout.ts';
import { generator, type Seed } from '../../model/random.ts';
import { ariOfLabels, jaccards } from '../../model/scores.ts';
import { clusterCountOf, type State } from '../../model/state.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { Replicates } from '../../run/summary.ts';
import type { Task } from '../../tasks/table.ts';
import { initialState, labellingState, runEpoch } from './epoch.ts';
import { withClusters } from './gaussian/combine.ts';
import { publishClassifier, publishNet, publishTransform } from './publish.ts';
import type { TrainingRun } from './run-context.ts';
import { sampledCounts, sampleOf } from './sample.ts';
import { takeStep, trainingEnd, turn } from './train.ts';

/** Rows, at most, whose labels the replicates are compared by. */
const MOST_COMPARED = 20_000;

/** The rows whose priority is below `below`; `rows`: how many of them each shard has. */
interface SampledRows {
  below: number;
  rows: number[];
}

/**
 * Trains `--replicates` times more, each time on another half of the sample (and, where the likelihood has one, its own graph) and from
 * another net, and compares the number of clusters
 * and the labels of rows of the sample. Nothing is read, and nothing of the run itself changes. `outliers`: those of each shard, which do not
 * count. `trained`: by which the rows of the run have their labels; the first `k` clusters have rows. `signal`: rejects with its reason before the next epoch.
 */
export async function replicate(
  run: TrainingRun,
  { below, outliers, trained, k }: { below: number; outliers: number[]; trained: State; k: number },
  signal: AbortSignal,
): Promise<Replicates> {
  const { emit, config, layout } = run;
  const count = config.replicates!;
  const sample = { below, rows: sampledCounts(layout, below).map((rows, shard) => rows - outliers[shard]) };
  const own = (await labelSample(run, sample, trained)).labels;
  const ks: number[] = [];
  const labellings: Int32Array[] = [];
  for (let number = 1; number <= count; number++) {
    emit({ type: 'replicate', replicate: number, of: count, k: null });
    const { k, labels } = await labelSample(run, sample, await trainOnHalf(run, sample, number, signal));
    ks.push(k);
    labellings.push(labels);
    emit({ type: 'replicate', replicate: number, of: count, k });
  }
  const found = labellings.map((labels) => jaccards(own, labels, clusterCountOf(trained)));
  const clusters = Array.from({ length: k }, (_, cluster) => meanOf(found.map((all) => all[cluster])));
  return { count, k: [Math.min(...ks), Math.max(...ks)], ks, agreement: agreement(labellings), clusters };
}

async function trainOnHalf(
  run: TrainingRun,
  sample: SampledRows,
  number: number,
  signal: AbortSignal,
): Promise<State> {
  const { seed, config } = run;
  const ofHalf = { ...run, half: number };
  publishTransform(ofHalf, sample.below);
  const halves = sample.rows.map(halfSize);
  const half = sampleOf(sample.below, halves);
  const halfRun: TrainingRun = {
    ...ofHalf,
    seed: seedOf(seed, number),
    sample: half,
    // Of half the rows, so that its resolution is chosen anew.
    likelihood: run.likelihood.ofSample(ofHalf),
    // Given, so that it does not grow.
    config: { ...config, sample: half.rows },
    emit: () => {},
  };
  let state = await initialState(halfRun);
  publishNet(halfRun, state.net);
  while (!trainingEnd(halfRun, state)) {
    ({ state } = await turn(halfRun, state, {
      epoch: async (before) => (await runEpoch(halfRun, before)).state,
      step: (before, kind) => takeStep(halfRun, before, kind),
    }));
    signal.throwIfAborted();
  }
  return withClusters(halfRun, await labellingState(halfRun, state));
}

function seedOf(seed: Seed, number: number): bigint {
  const rng = generator(seed, 'replicate', number);
  return (BigInt(rng.uint32()) << 32n) | BigInt(rng.uint32());
}

/** Clusters that have rows of the whole sample, and the labels of the same rows each time. */
async function labelSample(run: TrainingRun, { below, rows }: SampledRows, state: State) {
  publishTransform(run, below);
  const byMixture = publishClassifier(run, state);
  const every = Math.max(1, Math.ceil(rows.reduce((a, b) => a + b, 0) / MOST_COMPARED));
  const task: Task = { task: 'sample-labels', every, byMixture };
  const results = await run.dispatcher.round({
    tasks: [task],
    units: rows.map((_, shard): WorkUnit => ({ shard, from: 0, to: 0 })),
    sampled: rows,
  });
  const { groups } = state;
  const clusterOf = (component: number) => groups?.[component] ?? component;
  const counts = new Float64Array(clusterCountOf(state));
  const labels: number[] = [];
  for (const { tasks } of results) {
    tasks[0].counts.data.forEach((n, c) => {
      counts[clusterOf(c)] += n;
    });
    for (const component of tasks[0].labels.data) labels.push(clusterOf(component));
  }
  return { k: counts.filter((n) => n > 0).length, labels: Int32Array.from(labels) };
}

/** Null if one of them is. */
const meanOf = (values: (number | null)[]): number | null =>
  values.includes(null) ? null : values.reduce<number>((sum, value) => sum + value!, 0) / values.length;

/** The mean adjusted Rand index of all pairs. */
function agreement(labellings: Int32Array[]): number {
  let [sum, pairs] = [0, 0];
  for (const [i, a] of labellings.entries())
    for (const b of labellings.slice(i + 1)) {
      sum += ariOfLabels(a, b);
      pairs++;
    }
  return sum / pairs;
}
