import { lloydCentres } from '../../model/kmeans.ts';
import { bestThreshold, principalAxis } from '../../model/pca-split.ts';
import type { Parts, State } from '../../model/state.ts';
import { addStatistics, type Covariance, mean } from '../../model/statistics.ts';
import type { Cell } from '../../proto/tasks.ts';
import type { Leaves, Rounds } from './rounds.ts';

/** How sub-clusters come to be: PCA split, Lloyd refinement, deep halving. Each needs only sums over points. */

const FEWEST_POINTS = 5;

/** Collects the rows that cells point at. */
function vectorTable() {
  const rows: Float64Array[] = [];
  return { rows, add: (row: Float64Array) => rows.push(row) - 1 };
}

/** The same tree with other leaves. */
export function mapLeaves(cell: Cell, leaf: (leaf: number) => Cell): Cell {
  if (typeof cell === 'number') return cell < 0 ? cell : leaf(cell);
  return { ...cell, into: cell.into.map((child) => mapLeaves(child, leaf)) };
}

/**
 * Two sides of the best threshold along each leaf's principal axis, as statistics. `T` holds each leaf's own. A leaf
 * that cannot be halved keeps all its rows on the first side.
 */
export async function pcaSplit(
  rounds: Rounds,
  partition: Leaves,
  vectors: Float64Array[],
  T: Parts,
  d: number,
  covariance: Covariance,
): Promise<Parts[]> {
  const axes = T.map((t) => {
    const { axis, mean: centre, sd } = principalAxis(t, d, covariance);
    return { axis, centre: centre.reduce((sum, value, i) => sum + value * axis[i], 0), sd };
  });
  const histograms = await rounds.histogram(partition, vectors, axes);
  const table = vectorTable();
  for (const row of vectors) table.add(row);
  const sides = T.map((_, leaf): Cell => {
    const { axis, centre, sd } = axes[leaf];
    const at = bestThreshold(histograms[leaf], centre, sd);
    return at === null ? 2 * leaf : { axis: table.add(axis), at, into: [2 * leaf, 2 * leaf + 1] };
  });
  const halves: Leaves = {
    groups: partition.groups,
    cells: partition.cells.map((cell) => mapLeaves(cell, (leaf) => sides[leaf])),
    leaves: 2 * T.length,
  };
  const pivots = T.flatMap((t) => [mean(t, d), mean(t, d)]);
  const [found] = await rounds.scatter([halves], table.rows, [pivots]);
  return T.map((_, leaf) => [found[2 * leaf], found[2 * leaf + 1]]);
}

/** Centres of two parts; a part without rows, or a set too small to halve, gets the whole set's mean twice. */
export function centresOf([a, b]: Parts, d: number, whole: Float64Array): Float64Array[] {
  return a[0] > 0 && b[0] > 0 && a[0] + b[0] >= FEWEST_POINTS ? [mean(a, d), mean(b, d)] : [whole, whole];
}

export function subCentres({ parts, mixture }: State): Float64Array[][] {
  return parts.map((pair, k) => centresOf(pair, mixture.d, mixture.means[k]));
}

/** For each cluster its centres, none if it takes no part. */
type CentreSets = Float64Array[][];

/** The partition of each cluster's rows by the nearest of its centres; leaves count on through the clusters. */
function nearest(centres: CentreSets, table: { add(row: Float64Array): number }): Leaves {
  let leaves = 0;
  const cells = centres.map((own): Cell => {
    if (!own.length) return -1;
    return { near: own.map(table.add), into: own.map(() => leaves++) };
  });
  return { groups: 'net', cells, leaves: Math.max(1, leaves) };
}

/** `count` Lloyd rounds in each cluster, several sets of centres at a time. Each gives the centres it moved to. */
export async function lloyd(rounds: Rounds, sets: CentreSets[], count: number): Promise<CentreSets[]> {
  let at = sets;
  for (let i = 0; i < count; i++) {
    const table = vectorTable();
    const partitions = at.map((centres) => nearest(centres, table));
    const sums = await rounds.sums(partitions, table.rows);
    at = at.map((centres, set) => {
      let leaf = 0;
      return centres.map((own) => lloydCentres(sums[set].slice(leaf, (leaf += own.length)), own));
    });
  }
  return at;
}

/** Statistics of each cluster's parts, the rows of each part being those nearest to its centre. */
export async function partsNear(rounds: Rounds, sets: CentreSets[]): Promise<Parts[][]> {
  const table = vectorTable();
  const partitions = sets.map((centres) => nearest(centres, table));
  const found = await rounds.scatter(
    partitions,
    table.rows,
    sets.map((centres) => centres.flat()),
  );
  return sets.map((centres, set) => {
    let leaf = 0;
    return centres.map((own) => found[set].slice(leaf, (leaf += own.length)));
  });
}

/**
 * Two sub-clusters of each cluster from its sub-net's hard assignment, refined by `count` Lloyd rounds (0: as it is).
 * `otherwise` are the centres for a cluster of which the sub-net puts all rows on one side; where these do so too
 * (it has moved since), its PCA split starts it anew: else it could not be proposed in this step.
 */
export async function refine(
  rounds: Rounds,
  count: number,
  otherwise: CentreSets,
  covariance: Covariance,
): Promise<{ centres: CentreSets; parts: Parts[] }> {
  const k = otherwise.length;
  const bySubNet: Leaves = {
    groups: 'sub-net',
    cells: Array.from({ length: 2 * k }, (_, i) => i),
    leaves: 2 * k,
  };
  const [sums] = await rounds.sums([bySubNet], []);
  const start = otherwise.map((centres, c) => {
    const pair = sums.slice(2 * c, 2 * c + 2);
    return pair.every(({ n }) => n > 0) ? lloydCentres(pair, centres) : centres;
  });
  if (count === 0) {
    const [found] = await rounds.scatter([bySubNet], [], [start.flat()]);
    return { centres: start, parts: start.map((_, c) => found.slice(2 * c, 2 * c + 2)) };
  }
  const [centres] = await lloyd(rounds, [start], count - 1);
  const [parts] = await partsNear(rounds, [centres]);
  const whole = parts.map(([a, b]) => addStatistics(a, b));
  const oneSided = parts.map(([a, b], c) => Math.min(a[0], b[0]) === 0 && whole[c][0] >= FEWEST_POINTS);
  if (!oneSided.includes(true)) return { centres, parts };
  const [halved] = await halveDeep(rounds, oneSided, whole, 1, centres[0][0].length, covariance);
  const anew = halved.map((pair) => (pair.length === 2 ? pair : []));
  const [moved] = await lloyd(rounds, [anew], count - 1);
  const [found] = await partsNear(rounds, [moved]);
  return {
    centres: centres.map((pair, c) => (moved[c].length ? moved[c] : pair)),
    parts: parts.map((pair, c) => (moved[c].length ? found[c] : pair)),
  };
}

/**
 * Halves each chosen cluster along principal axes `depth` times over: for each depth from 1 on the means of the parts,
 * at most 2^depth. `T` are the clusters' own statistics.
 */
export async function halveDeep(
  rounds: Rounds,
  chosen: boolean[],
  T: Parts,
  depth: number,
  d: number,
  covariance: Covariance,
): Promise<CentreSets[]> {
  const table = vectorTable();
  let leafOwners = [...chosen.keys()].filter((k) => chosen[k]);
  let cells = chosen.map((take, k): Cell => (take ? leafOwners.indexOf(k) : -1));
  let own = leafOwners.map((k) => T[k]);
  const byDepth: CentreSets[] = [];
  for (let level = 0; level < depth; level++) {
    const partition: Leaves = { groups: 'net', cells, leaves: own.length };
    const sides = await pcaSplit(rounds, partition, table.rows, own, d, covariance);
    const owners: number[] = [];
    const next = sides.map(([a, b], leaf): Cell => {
      const owner = leafOwners[leaf];
      if (!(a[0] > 0 && b[0] > 0)) return owners.push(owner) - 1;
      const into = [owners.push(owner) - 1, owners.push(owner) - 1];
      return { near: [table.add(mean(a, d)), table.add(mean(b, d))], into };
    });
    cells = cells.map((cell) => mapLeaves(cell, (leaf) => next[leaf]));
    const pivots = sides.flatMap(([a, b], leaf) =>
      a[0] > 0 && b[0] > 0 ? [mean(a, d), mean(b, d)] : [mean(own[leaf], d)],
    );
    [own] = await rounds.scatter([{ groups: 'net', cells, leaves: owners.length }], table.rows, [pivots]);
    leafOwners = owners;
    byDepth.push(
      chosen.map((_, k) =>
        own.filter((t, leaf) => leafOwners[leaf] === k && t[0] > 0).map((t) => mean(t, d)),
      ),
    );
  }
  return byDepth;
}
