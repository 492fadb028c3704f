import { chooseByWeight, lloydCentres } from '../../../model/kmeans.ts';
import { clusteringNet, subNets } from '../../../model/nets/net.ts';
import { generator } from '../../../model/random.ts';
import type { State } from '../../../model/state.ts';
import { pcaSplit } from '../halves.ts';
import { type Partition, rowsTensor } from '../rounds.ts';
import type { Run } from '../run-context.ts';

const LLOYD_ROUNDS = 10;

/**
 * The state before the first epoch: the clusters around the centres with which the likelihood begins, the mixture estimated from
 * these, sub-clusters by PCA split.
 */
export async function initialState(run: Run): Promise<State> {
  const { rounds, calculate, d, prior, config, schedule, seed, likelihood } = run;
  const { centres, sample, untilStep, hidden, graph } = await likelihood.start(run);
  const k = centres.length;
  const partition: Partition = {
    groups: 'all',
    cells: [k === 1 ? 0 : { near: [...centres.keys()], into: [...centres.keys()] }],
    leaves: k,
  };
  const [T] = await rounds.cellStatistics([partition], centres, [centres]);
  const parts = await pcaSplit(run, partition, centres, T, d, config.covariance);
  return {
    epoch: 0,
    sample,
    prior,
    mixture: await calculate('mStep', prior, T, config.weightSmoothing),
    net: clusteringNet(seed, d, config.hidden ?? hidden, k),
    subs: subNets(seed, d, k),
    parts,
    // The net must learn the clusters of k-means before the M-step may move them.
    frozen: k > 1 ? Math.max(config.freeze, config.splitMergeEvery - 1) : 0,
    patience: schedule.patience,
    untilStep,
    merged: [],
    loss: null,
    lossSinceChange: null,
    steps: [],
    ...(graph && { graph }),
  };
}

/**
 * k-means++, then Lloyd. Each shard draws a candidate by D² weighting among its own rows; one shard's candidate is chosen
 * with probability proportional to the shard's total D².
 */
export async function kMeans(run: Run, k: number): Promise<Float64Array[]> {
  const { rounds, dispatcher, d, seed } = run;
  const centres: Float64Array[] = [];
  for (let draw = 0; draw < k; draw++) {
    dispatcher.publish('centres', { rows: rowsTensor(centres, d) });
    const candidates = await rounds.perShard({ task: 'seed-distances', centres: draw, draw });
    const weights = candidates.map(({ weight }) => weight[0]);
    const shard = chooseByWeight(weights, generator(seed, 'k-means++', draw).uniform());
    centres.push(candidates[shard].row.slice());
  }
  let current = centres;
  const near = [...centres.keys()];
  for (let round = 0; round < LLOYD_ROUNDS; round++) {
    const partition: Partition = { groups: 'all', cells: [{ near, into: near }], leaves: k };
    const [sums] = await rounds.cellSums([partition], current);
    current = lloydCentres(sums, current);
  }
  return current;
}
