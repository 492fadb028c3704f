import { chooseByWeight, lloydCentres } from '../../model/kmeans.ts';
import { mStep } from '../../model/mixture.ts';
import { clusteringNet, subNets } from '../../model/net.ts';
import { generator } from '../../model/random.ts';
import type { State } from '../../model/state.ts';
import { type Leaves, rowsTensor } from './rounds.ts';
import type { Run } from './run-context.ts';
import { pcaSplit } from './sub-clusters.ts';

const LLOYD_ROUNDS = 10;

/**
 * The state before the first epoch: K = `--init-k` clusters by k-means++ and Lloyd, the mixture by MAP, sub-clusters by
 * PCA split.
 */
export async function initialState(run: Run): Promise<State> {
  const { rounds, d, prior, config, seed } = run;
  const origin = new Float64Array(d);
  const centres = config.initK > 1 ? await kMeans(run, config.initK) : [origin];
  const k = centres.length;
  const partition: Leaves = {
    groups: 'all',
    cells: [k === 1 ? 0 : { near: [...centres.keys()], into: [...centres.keys()] }],
    leaves: k,
  };
  const [T] = await rounds.scatter([partition], centres, [centres]);
  const parts = await pcaSplit(rounds, partition, centres, T, d, config.covariance);
  return {
    epoch: 0,
    mixture: mStep(prior, T, config.weightSmoothing),
    net: clusteringNet(seed, d, config.hidden, k),
    subs: subNets(seed, d, k),
    parts,
    // The net has to learn the clusters that k-means found before it may move them.
    frozen: k > 1 ? Math.max(config.freeze, config.splitMergeEvery - 1) : 0,
    steps: [],
  };
}

/** k-means++, each centre from the candidate of the shard that a D² draw names, and Lloyd. */
async function kMeans(run: Run, k: number): Promise<Float64Array[]> {
  const { rounds, dispatcher, d, seed } = run;
  const centres: Float64Array[] = [];
  for (let draw = 0; draw < k; draw++) {
    dispatcher.publish('centres', { rows: rowsTensor(centres, d) });
    const parts = await rounds.run({ task: 'seed-distances', centres: draw, draw }, { weight: 1, row: d }, [
      'centres',
    ]);
    const weights = parts.map(({ weight }) => weight[0]);
    const shard = chooseByWeight(weights, generator(seed, 'k-means++', draw).uniform());
    centres.push(parts[shard].row.slice());
  }
  let at = centres;
  const near = [...centres.keys()];
  for (let round = 0; round < LLOYD_ROUNDS; round++) {
    const partition: Leaves = { groups: 'all', cells: [{ near, into: near }], leaves: k };
    const [sums] = await rounds.sums([partition], at);
    at = lloydCentres(sums, at);
  }
  return at;
}
