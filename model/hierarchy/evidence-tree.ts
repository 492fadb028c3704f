/**
 * The tree of merges above the clusters of a Gaussian mixture, by the evidence of their rows.
 *
 * A join costs the logarithm of the Hastings ratio of the split that would undo it, without tempering (`logSplitRatio` in
 * hastings.ts, ζ = 1): log α + Σ_j [log Γ(n_j) + log p(T_j)] − log Γ(n) − log p(T). Its height is that cost divided by the number of
 * all rows, in nats a row: by how much a code for the rows and their labels grows. Tempered to ñ rows, as by --coarsening, the cost
 * is about ñ·height less ½·P·log ñ, for P parameters of a cluster (Schwarz's approximation): as ñ falls, evidence accepts the joins
 * in about this order. The ñ at which it does is no height itself: where sub-clusters have few rows, log Γ(ñ) and the prior outweigh the
 * rest, and there is none, or more than one.
 */

import { gammaln } from 'simple-statistics';
import { logSplitRatio, proposable } from '../gaussian/hastings.ts';
import { logMarginal, type Niw } from '../gaussian/niw.ts';
import { NotPositiveDefiniteError, whitened, whitener } from '../linalg.ts';
import type { Parts } from '../state.ts';
import { addStatistics, mean, scatter } from '../statistics.ts';
import type { ClusterHalves, ComponentTree, Join } from './dendrogram.ts';

/** Unions may take so long to evaluate, ns: a partner is looked for among as many near clusters as that allows. */
const BUDGET = 2e9;
/** As many partners are looked at in any case, as in merge steps. */
const FEWEST_CANDIDATES = 3;

/** About how long the evidence of a union of two clusters takes, ns. */
const unionTime = ({ d, covariance }: Niw) =>
  10_000 + (covariance === 'full' ? d ** 3 + 10 * d ** 2 : 20 * d);

/** Among how many near clusters a partner is looked for; K − 1 or more means all. `union`: time to evaluate one, ns. */
function candidatesFor(k: number, union: number): number {
  return Math.max(FEWEST_CANDIDATES, Math.floor(BUDGET / (2 * k * union)));
}

/** A cluster or a union. */
interface Node {
  readonly id: number;
  readonly T: Float64Array;
  /** log Γ(n) + log p(T). */
  readonly term: number;
  /** Its mean, where the pooled covariance within clusters is I. */
  readonly centre: Float64Array;
  isAlive: boolean;
  /** The clusters that it may join, the cheapest first. */
  near: { readonly other: Node; readonly cost: number }[];
}

/**
 * Joins the two clusters whose union costs least, until one is left: K − 1 joins. Heights never fall: a union that costs less than
 * a join before it, which happens only where it has that join as a part, gets the height of that join. On a tie, the pair of which
 * one was found first.
 *
 * With many clusters, each is only tried with the `candidates` others that were cheapest, when it came to be, if all had the same
 * covariance: ½·n·log(1 + w_a·w_b·δ²) − n·H(w_a, w_b) for shares w of the union's n rows and means δ standard deviations apart.
 * O(K²(D + log K)) besides.
 *
 * @param T statistics of each cluster, all with rows
 * @returns heights in nats a row; NotPositiveDefiniteError for clusters that are too flat for float64
 */
export function evidenceTree(
  prior: Niw,
  T: Float64Array[],
  alpha: number,
  candidates = candidatesFor(T.length, unionTime(prior)),
): Join[] {
  const total = T.reduce((sum, [n]) => sum + n, 0);
  const nodeOf = (id: number, T: Float64Array, centre: Float64Array): Node => ({
    ...{ id, T, centre, isAlive: true, near: [] },
    term: gammaln(T[0]) + logMarginal(prior, T),
  });
  const costOf = (one: Node, other: Node): number => {
    const sum = addStatistics(one.T, other.T);
    return Math.log(alpha) + one.term + other.term - gammaln(sum[0]) - logMarginal(prior, sum);
  };
  const findNear = (node: Node, others: Node[]): void => {
    node.near = cheapest(node, others, candidates)
      .map((other) => ({ other, cost: costOf(node, other) }))
      .sort((x, y) => x.cost - y.cost || x.other.id - y.other.id);
  };

  const centres = whitenedMeans(prior, T);
  let alive = T.map((t, id) => nodeOf(id, t, centres[id]));
  // A pair is in the list of one of the two.
  const listed = new Set<number>();
  for (const node of alive) {
    const isNew = (other: Node) => other !== node && !listed.has(other.id * T.length + node.id);
    findNear(node, alive.filter(isNew));
    for (const { other } of node.near) listed.add(node.id * T.length + other.id);
  }
  const joins: Join[] = [];
  let height = 0;
  while (alive.length > 1) {
    let best = cheapestPair(alive);
    if (!best) {
      // All that they were tried with have been joined with others.
      for (const [i, node] of alive.entries()) findNear(node, alive.toSpliced(i, 1));
      best = cheapestPair(alive)!;
    }
    const { node, other, cost } = best;
    height = Math.max(height, cost / total);
    joins.push({ a: Math.min(node.id, other.id), b: Math.max(node.id, other.id), height });
    node.isAlive = other.isAlive = false;
    alive = alive.filter(({ isAlive }) => isAlive);
    const share = node.T[0] / (node.T[0] + other.T[0]);
    const centre = node.centre.map((value, i) => share * value + (1 - share) * other.centre[i]);
    const joined = nodeOf(T.length + joins.length - 1, addStatistics(node.T, other.T), centre);
    findNear(joined, alive);
    alive.push(joined);
  }
  return joins;
}

/** The cheapest pair in the lists; null if there is none. Drops pairs of which one has been joined. */
function cheapestPair(alive: Node[]) {
  let best: { node: Node; other: Node; cost: number } | null = null;
  for (const node of alive) {
    const first = node.near.findIndex(({ other }) => other.isAlive);
    node.near.splice(0, first < 0 ? node.near.length : first);
    if (first >= 0 && !(best && best.cost <= node.near[0].cost)) best = { node, ...node.near[0] };
  }
  return best;
}

/** The others with which a union would cost least if all clusters had the same covariance; a few more on ties. */
function cheapest(node: Node, others: Node[], count: number): Node[] {
  if (others.length <= count) return others;
  const costs = new Float64Array(others.length);
  others.forEach(({ T, centre }, i) => {
    let distance = 0;
    for (let j = 0; j < centre.length; j++) distance += (centre[j] - node.centre[j]) ** 2;
    const [one, other] = [node.T[0], T[0]];
    const n = one + other;
    const share = (one * other) / (n * n);
    costs[i] =
      (n * Math.log(1 + share * distance)) / 2 + one * Math.log(one / n) + other * Math.log(other / n);
  });
  const limit = costs.toSorted()[count - 1];
  return others.filter((_, i) => costs[i] <= limit);
}

/**
 * The trees of clusters of several components, in nats a row of all rows, as that of the clusters. Without components that have no rows, and
 * without clusters of which that leaves one, or whose components are too flat for float64.
 *
 * @param T statistics of each component
 * @param members the components of each cluster
 */
export function componentTrees(
  prior: Niw,
  T: readonly Float64Array[],
  members: readonly number[][],
  alpha: number,
): ComponentTree[] {
  const rowsOf = (components: readonly number[]) => components.reduce((sum, own) => sum + T[own][0], 0);
  const total = rowsOf(members.flat());
  return members.flatMap((all, cluster): ComponentTree[] => {
    const components = all.filter((component) => T[component][0] > 0);
    if (components.length < 2) return [];
    const own = components.map((component) => T[component]);
    try {
      const share = rowsOf(components) / total;
      const joins = evidenceTree(prior, own, alpha).map((join) => ({ ...join, height: share * join.height }));
      return [{ cluster, components, sizes: own.map(([rows]) => Math.max(1, Math.round(rows))), joins }];
    } catch (error) {
      if (!(error instanceof NotPositiveDefiniteError)) throw error;
      return [];
    }
  });
}

/** The means of the clusters, where their pooled covariance is I. */
function whitenedMeans({ d, covariance, psi, nu }: Niw, T: Float64Array[]): Float64Array[] {
  const within = psi.slice();
  let rows = nu;
  for (const t of T) {
    rows += t[0];
    const own = scatter(t, d, covariance);
    for (let p = 0; p < within.length; p++) within[p] += own[p];
  }
  const inverse = whitener(
    within.map((value) => value / rows),
    d,
    covariance,
  );
  return T.map((t) => whitened(inverse, mean(t, d)));
}

/**
 * By the evidence, as in the tree: the nats that it loses by the join of the sub-clusters, divided by the number of all rows. Below 0
 * where it gains. Their statistics are scaled to as many rows as their cluster has in T. Of several proposals for a cluster those
 * with the largest height.
 *
 * @param T statistics of each cluster over all rows
 * @param proposals pairs of sub-clusters of each cluster, over the sample
 * @returns null for a cluster without two sub-clusters of enough rows for a split, or that is too flat for float64
 */
export function evidenceHalves(
  prior: Niw,
  T: Float64Array[],
  proposals: Parts[][],
  alpha: number,
): (ClusterHalves | null)[] {
  const total = T.reduce((sum, [n]) => sum + n, 0);
  const halvesOf = (pair: Parts, n: number): ClusterHalves | null => {
    const [one, other] = pair.map(([rows]) => rows);
    const scale = n / (one + other);
    if (!proposable(pair, scale)) return null;
    try {
      return { rows: [one, other], height: logSplitRatio(prior, pair, alpha, scale) / total };
    } catch (error) {
      if (!(error instanceof NotPositiveDefiniteError)) throw error;
      return null;
    }
  };
  return T.map(([n], cluster) =>
    proposals[cluster]
      .map((pair) => halvesOf(pair, n))
      .reduce((best, own) => (own && !(best && best.height >= own.height) ? own : best), null),
  );
}
