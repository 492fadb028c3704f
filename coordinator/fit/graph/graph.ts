import { roughDuration } from '../../../base/quantities.ts';
import { kebabCase } from '../../../base/text.ts';
import { UserError } from '../../../base/user-error.ts';
import { MOST_FEATURE_AXES } from '../../../data/transform-plan.ts';
import { clustersIn, continuedPartition, withVotes } from '../../../model/graph/continued.ts';
import { labelsOf, linksBetween } from '../../../model/graph/mean-field.ts';
import { linkedHalves, mergeTree } from '../../../model/hierarchy/merge-tree.ts';
import type { OutputUnit } from '../../../model/nets/net.ts';
import { generator } from '../../../model/random.ts';
import type { Copies, State } from '../../../model/state.ts';
import { MAX_MESSAGE } from '../../../proto/task-limits.ts';
import { changedOptions, type RunConfig } from '../../../run/config.ts';
import { mostClusters } from '../../../tasks/capacity.ts';
import { byCluster } from '../../../tasks/cells/ask.ts';
import { pcaSplit } from '../halves.ts';
import { publishNet } from '../publish.ts';
import type { Levels, LikelihoodKind, LikelihoodModel, TrainingRun } from '../run-context.ts';
import { sampledInOrder, sampleOf } from '../sample.ts';
import { withChange } from '../step.ts';
import {
  FEWEST_ROWS,
  type GraphRun,
  type GraphSource,
  graphSource,
  netMemberships,
  publishField,
} from './neighbour-graph.ts';
import { graphStart } from './resolution.ts';
import { joinStep, mergeStep, quickHalves, splitStep, withClusters } from './steps.ts';

/** With the graph likelihood, the mixture only describes the clusters: in few numbers, and as they are. */
const DESCRIPTION = {
  covariance: 'diag',
  priorScaleChoice: 'data-cov',
  priorScale: 1e-3,
  priorNu: null,
} as const;

/** In so many, such as those of UMAP, most clusters are blobs, whose graph has no gaps: USPS had 22 clusters in place of 10. */
const FEW_DIMENSIONS = 10;

/** Options of the Gaussian likelihood alone. */
const WITHOUT_EFFECT = ['alpha', 'covariance', 'priorScaleChoice', 'coarsening', 'initK'] as const;

export const graph: LikelihoodKind = {
  configure(given, rows, d, warn) {
    const config = { ...given, ...DESCRIPTION };
    checkGraph(config, rows, d);
    // Latent vectors have all shapes.
    const warnings = [config.encoder === 'none' ? inFewDimensions(d) : null, graphCost(config, rows, d)];
    for (const warning of warnings) if (warning) warn(warning);
    const unused = changedOptions(given, WITHOUT_EFFECT).map((name) => `--${kebabCase(name)}`);
    if (unused.length)
      warn(`the graph likelihood does not use ${unused.join(', ')}; --likelihood gaussian does`);
    return config;
  },
  byMixture: () => false,
  create: (run) => graphLikelihood(graphSource(run)),
};

/** A warning where the graph likelihood was asked for in so few dimensions that Gaussians do better. */
const inFewDimensions = (d: number): string | null =>
  d > FEW_DIMENSIONS
    ? null
    : `the graph likelihood is for rows of many columns, or along curves and surfaces: in ${d} columns it may cut other clusters into pieces, or find none; --likelihood gaussian is for these`;

/** Bytes of the graph for a row: of up to 2·20 edges, 4 + 8. */
const GRAPH_BYTES = 480;
/** For fewer clusters, the graph likelihood is not worth a try. */
const ENOUGH_CLUSTERS = 100;

/** UserError if features and graph of so many sample rows, or what is summed of clusters, do not fit in a message, or if there are too few rows. */
function checkGraph({ data, sample }: RunConfig, rows: number, d: number): void {
  if (rows < 3)
    throw new UserError(
      `${data}: the graph likelihood needs at least 3 rows in the sample, there are ${rows}; use --likelihood gaussian`,
    );
  const most = Math.floor(MAX_MESSAGE / Math.max(4 * d, GRAPH_BYTES));
  if (rows > most)
    throw new UserError(
      `${data}: the neighbour graph of ${rows.toLocaleString('en')} rows does not fit in a message; use a sample of at most ${most.toLocaleString('en')}, such as the default (--sample ${sample} was given)`,
    );
  if (mostClusters(d, 'full') < ENOUGH_CLUSTERS)
    throw new UserError(
      `${data}: ${d.toLocaleString('en')} columns are too many for the graph likelihood; leave out --transform, which then makes up to ${MOST_FEATURE_AXES} of them`,
    );
}

/** Rows of a graph that may take long without a word. */
const MANY_ROWS = 150_000;
/** Seconds of a core for a difference of two coordinates, in the search for neighbours. */
const DIFFERENCE = 1e-10;

/** A warning where so large a sample was asked for that the search for neighbours will take long, among rows of `d` features; else null. */
export function graphCost({ sample }: Pick<RunConfig, 'sample'>, rows: number, d: number): string | null {
  if (sample === null || rows <= MANY_ROWS) return null;
  const differences = rows ** 2 * d;
  return `--sample ${sample}: the graph likelihood compares each of ${rows.toLocaleString('en')} rows with all others, ${differences.toExponential(1).replace('+', '')} differences of coordinates, which take about ${roughDuration(DIFFERENCE * differences)} of a core; if that is too long, leave --sample out, to train on 20,000 rows, or more where there are many clusters; all are labelled`;
}

/**
 * The degree-corrected planted partition of the sample's neighbour graph (docs/algorithm.md, section 11). The mixture only describes
 * its clusters.
 */
function graphLikelihood(graphs: GraphSource): LikelihoodModel {
  const of = async (run: TrainingRun, { graph, sample }: State): Promise<GraphRun> => ({
    run,
    graph: await graphs.of(sample, graph!.copies),
    resolution: graph!.resolution,
  });
  return {
    name: 'graph',
    initK: 1,
    async start(run) {
      const { sample, graph } = await graphStart(run, graphs);
      return { sample, graph, centres: [new Float64Array(run.d)], untilStep: 1, hidden: [256] };
    },
    async target(run, state) {
      const field = state.mixture.k > 1 ? await publishField(await of(run, state), state) : undefined;
      return { form: 'product', field };
    },
    async subTargets(run, { mixture, parts }) {
      const { k, means } = mixture;
      if (k === 1) return parts;
      const [T] = await run.rounds.cellStatistics([byCluster(k)], [], [means]);
      return pcaSplit(run, byCluster(k), [], T);
    },
    // Once the net has learned new clusters, and before a step finds others.
    isMStepDue: ({ untilStep, lossSinceChange }) => untilStep === 1 || lossSinceChange === null,
    goOn: (run, state, { clusters }) => goOn(run, graphs, state, clusters),
    step: async (run, state, change) =>
      (change === 'split' ? splitStep : mergeStep)(await of(run, state), state),
    join: async (run, state, clusters) => joinStep(await of(run, state), state, clusters),
    heights: {
      measure:
        'the largest resolution at which the two are worth no less as one; falls towards the root, and is 0 where nothing links them',
      order: 'rising',
    },
    levels: async (run, state, _T, clusters) => levels(await of(run, state), state, clusters),
    ofSample: (run) => graphLikelihood(graphSource(run)),
  };
}

/** By the memberships that the net gives the rows of the sample. */
async function levels(of: GraphRun, state: State, clusters: number): Promise<Levels> {
  const { run, graph } = of;
  const { k } = state.mixture;
  publishNet(run, state.net);
  const memberships = await netMemberships(of);
  const W = linksBetween(graph.graph, memberships);
  const own = new Float64Array(clusters * clusters);
  for (let a = 0; a < clusters; a++) own.set(W.subarray(a * k, a * k + clusters), a * clusters);
  const joins = mergeTree(own, memberships.volume.slice(0, clusters));
  const { cuts, links } = quickHalves(of, state, labelsOf(memberships));
  return { joins, halves: linkedHalves(links, cuts, graph.total, FEWEST_ROWS) };
}

/**
 * The first step of an update with the graph likelihood (docs/algorithm.md, section 13): the graph of the sample as it is now, at the same γ, and a
 * partition of it that goes on from the clusters before, which the clustering net then learns. The workers have to have the net of `state`.
 *
 * @param before as of LikelihoodModel
 */
export async function goOn(
  run: TrainingRun,
  graphs: GraphSource,
  state: State,
  before: Int32Array,
): Promise<State> {
  const graph = await graphs.of(state.sample, run.config.keepCopies ? null : undefined);
  const { resolution, stability } = state.graph!;
  const byNet = labelsOf(await netMemberships({ run, graph, resolution }));
  const own = labelsOfRows(run, before, graph.copies);
  const start = withVotes(graph.graph, own).map((label, row) => (label < 0 ? byNet[row] : label));
  const { k } = state.mixture;
  const found =
    // At no γ are there clusters that can be reproduced.
    stability === null
      ? start
      : continuedPartition(graph, resolution, generator(run.seed, 'go-on'), start, FEWEST_ROWS);
  const isTooMany = clustersIn(found) > mostClusters(run.d, run.config.covariance);
  const { units, labels } = unitsOf(start, isTooMany ? start : found, k);
  const changed = units.some(({ fresh }) => fresh) ? Math.max(1, Math.abs(units.length - k)) : 0;
  const step = { kind: 'split' as const, changed, k: units.length, progress: null, last: true as const };
  const sample = sampleOf(state.sample.below, [...graph.shards]);
  const now = { ...state, sample, graph: { ...state.graph!, copies: graph.copies } };
  const after = withClusters(run, withChange(run, now, step), units, labels);
  publishNet(run, after.net);
  return after;
}

/** Labels of the rows of the graph, given those of all rows of the sample: a row has that of its copies, if it has none itself. */
function labelsOfRows({ layout }: TrainingRun, before: Int32Array, copies: Copies | null): Int32Array {
  const sampled = Int32Array.from(sampledInOrder(layout, 1), (row) => before[row]).filter((own) => own > -2);
  if (!copies) return sampled;
  const labels = sampled.slice();
  copies.of.forEach((first, row) => {
    if (labels[first] < 0) labels[first] = sampled[row];
  });
  return labels.filter((_, row) => copies.of[row] === row);
}

/**
 * The output units of a partition, each from the one before of which it has most rows, in the order of these; and the labels by their numbers. Those
 * that do not go on from one alone, or not alone from one, are fresh.
 */
export function unitsOf(
  before: Int32Array,
  now: Int32Array,
  k: number,
): { units: OutputUnit[]; labels: Int32Array } {
  const clusters = clustersIn(now);
  const shared = Array.from({ length: clusters }, () => new Float64Array(k));
  for (const [row, cluster] of now.entries()) shared[cluster][before[row]]++;
  const rows = shared.map((own) => own.reduce((a, b) => a + b, 0));
  const from = shared.map((own) => own.indexOf(Math.max(...own)));
  /** Of each unit that has rows the cluster that most of them are in. */
  const heirs = Array.from({ length: k }, (_, unit) => {
    const counts = shared.map((own) => own[unit]);
    const most = Math.max(...counts);
    return most > 0 ? counts.indexOf(most) : -1;
  });
  const order = [...from.keys()].sort((a, b) => from[a] - from[b] || a - b);
  const units = order.map((cluster): OutputUnit => {
    const parts = from.flatMap((unit, other) => (unit === from[cluster] ? [rows[other]] : []));
    const sources = heirs.filter((heir) => heir === cluster);
    return {
      from: from[cluster],
      share: rows[cluster] / parts.reduce((a, b) => a + b, 0),
      fresh: parts.length > 1 || sources.length > 1 || heirs[from[cluster]] !== cluster,
    };
  });
  const places = new Int32Array(clusters);
  order.forEach((cluster, place) => {
    places[cluster] = place;
  });
  return { units, labels: now.map((cluster) => places[cluster]) };
}
