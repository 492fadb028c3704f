import { asLogFlag } from '../../data/logarithm.ts';
import { isPca } from '../../data/transform-choice.ts';
import { CLOSE, type Decision } from '../../model/gaussian/evidence-for-k.ts';
import { type EndReason, isCycling, quietSteps, type Step } from '../../model/schedule.ts';
import { type GraphState, MOST_LABELLED_BY_MIXTURE } from '../../model/state.ts';
import { statisticsLength } from '../../model/statistics.ts';
import { mostClusters } from '../../tasks/capacity.ts';
import type { RunConfig } from '../config.ts';
import { OPTIONS } from '../options.ts';
import { decisionText, mergeText, type Replicates, type Summary, splitText } from '../summary.ts';

/** Reasons to doubt a result, in sentences: what was seen, and what to try. From numbers that others have found; true labels play no part. */

/** What notes are taken from. */
export interface RunOutcome {
  config: Pick<
    RunConfig,
    | 'transform'
    | 'covariance'
    | 'clusters'
    | 'noise'
    | 'resolution'
    | 'maxEpochs'
    | 'schedule'
    | 'alpha'
    | 'alternations'
  >;
  /** Clusters that have rows. */
  k: number;
  silhouette: number | null;
  /** Components of the mixture, of which clusters may have several. */
  components: number;
  rows: number;
  /** Other rows, which are in no cluster. */
  noise: number;
  /** Has the mixture columns that are not continuous? */
  isMixed: boolean;
  /** Rows of each cluster. */
  sizes: readonly number[];
  /** Their labels, where these are not their numbers. */
  ids: readonly number[] | null;
  /** Rows in the sample. */
  sampled: number;
  /** Rows that no cluster explains, and the rows of each cluster that was added as the sample had missed it. */
  unexplained: number;
  added: readonly number[];
  /** Columns of the data that logarithms describe better, and those whose mean is alike in all clusters. */
  skewed: readonly number[];
  alike: readonly number[];
  /** What training says of values that may stand for unknown ones; null where there are none. */
  unknown: string | null;
  /** Columns after the transform. */
  d: number;
  /** What is known of each column of the data. */
  columns: ColumnFacts;
  steps: readonly Step[];
  reason: EndReason;
  evidence: Summary['evidence'];
  /** Null with Gaussians. */
  graph: (Pick<GraphState, 'stability'> & Partial<Pick<GraphState, 'copies'>>) | null;
}

/** For each column of the data, what may make it unfit. */
export interface ColumnFacts {
  mean: ArrayLike<number>;
  min: ArrayLike<number>;
  max: ArrayLike<number>;
  variance: ArrayLike<number>;
  names: readonly string[] | null;
}

/** From so many columns on, one Gaussian often explains rows better than several. */
const MANY_COLUMNS = 32;
const FEWER_COLUMNS = 16;
/** Rows for each parameter of a cluster, and rows at least, below which two clusters are hard to tell from one. */
const ROWS_PER_PARAMETER = 20;
const FEW_ROWS = 200;
/** A cluster needs six rows of the sample to be found at all; with fewer than this many on average, some were not. */
const FEW_ROWS_PER_CLUSTER = 25;
/** Clusters of fewer rows are rather single rows that are far from all others. */
const LEAST_ROWS = 6;
/** Standard deviations from a column's mean, from which on a value is far; of Gaussian rows none is as far as 10. */
const FAR = 30;
/** Relative deviation from the standard deviation of evenly spread values. */
const EVEN = 0.02;
/** Fewer rows may look like anything. */
const ENOUGH_ROWS = 50;
const MOST_NAMED = 3;
/** Of Gaussian clusters so many rows are beyond their reach; there is a note of more than a few times as many. */
const [BEYOND_REACH, MANY_TIMES] = [1e-6, 10];
/** Mean Jaccard coefficient up to which a cluster has dissolved (Hennig 2007): fewer rows are shared than not. */
const DISSOLVED = 0.5;
/** From this share of the most clusters on there is a note: merges may follow the split that reached it. */
const NEARLY = 0.9;

/**
 * Reasons to doubt a result, one line each: what was seen, and what to try. None where nothing is wrong. They say nothing of
 * the true labels.
 */
export function notesOn(outcome: RunOutcome): string[] {
  const { k, components, steps, graph } = outcome;
  const unfinished = unfinishedNote(outcome);
  // Without a split step K could not change, and the net may not have learned the clusters of the last one.
  const isDecided = steps.length > 0 && !(unfinished.length && steps.at(-1)!.k > 1);
  const oneCluster = graph ? oneClusterOfGraph(outcome, graph) : oneClusterNotes(outcome);
  return [
    ...(k === 1 && components <= 1 && isDecided ? oneCluster : []),
    ...(k > 1 && !graph ? fewRows(outcome) : []),
    ...skewedColumns(outcome),
    ...alikeColumnsNote(outcome),
    ...(outcome.unknown ? [outcome.unknown] : []),
    ...joinedComponents(outcome),
    ...noNoise(outcome),
    ...negativeSilhouette(outcome),
    ...mostReached(outcome),
    ...smallSample(outcome),
    ...nearCopies(outcome),
    ...tinyClusters(outcome),
    ...addedClusters(outcome),
    ...unexplainedRows(outcome),
    ...unfinished,
    ...undoneSplits(outcome),
    ...closeDecisions(outcome),
    ...wantedClusters(outcome),
  ];
}

/** A word that was not counted in fewer of a cluster's texts would hardly be one of its keywords. */
const FEW_TEXTS = 0.01;

/** Where there were too many different words to keep all, and keywords may be missing. `error`: by how much counts may be too low. */
export const uncountedWords = (error: number, textsOfCluster: number): string[] =>
  error > FEW_TEXTS * textsOfCluster
    ? [
        `the texts have more different words and pairs of words than are kept: each may be in them up to ${error.toLocaleString('en')} times more than was counted, and keywords of small clusters may be missing; clean the texts of what is in one of them only, such as codes and addresses`,
      ]
    : [];

/** Clusters of several components, which the events of training count. */
const joinedComponents = ({ k, components, config: { clusters } }: RunOutcome): string[] =>
  components <= k
    ? []
    : clusters !== null
      ? [
          `--clusters ${clusters}: ${components} components of the mixture were joined, those whose union costs least first, until ${k} clusters were left`,
        ]
      : [
          `K is ${k}, of ${components} components of the mixture: those are joined between which the rows show no valley of density (mixture/clusters.npy lists them; --shapes off keeps them apart)`,
        ];

/** Why no row is noise. */
function noNoise({ config, noise, graph, isMixed, d }: RunOutcome): string[] {
  if (!config.noise || noise) return [];
  const why = graph
    ? 'clusters of a graph have no density; --likelihood gaussian has'
    : isMixed
      ? 'that needs continuous columns alone; leave out those of categories, or of values that many rows have exactly'
      : d > MOST_LABELLED_BY_MIXTURE
        ? `that needs at most ${MOST_LABELLED_BY_MIXTURE} columns; --transform pca:<axes> has fewer`
        : 'a background explains the rows no better than clusters alone';
  return [`--noise: no row is noise: ${why}`];
}

/** What became of `--clusters`. */
function wantedClusters({ config: { clusters }, k, steps, graph }: RunOutcome): string[] {
  if (clusters === null) return [];
  const joined = steps.filter((step) => step.joined).reduce((sum, { changed }) => sum + changed, 0);
  if (joined)
    return [
      `--clusters ${clusters}: training found ${k + joined} clusters, and the pairs whose union costs least were joined until ${k} were left`,
    ];
  if (k >= clusters) return [];
  return [
    graph
      ? `--clusters ${clusters}: ${k} were left at the resolution that was taken; a larger --clusters finds more, and dpmesh resolutions shows what was tried`
      : `--clusters ${clusters}: the evidence supports no more than ${k} Gaussian clusters; --likelihood graph finds any number`,
  ];
}

/** What was decided on splits and merges by so little that K could be another. */
function closeDecisions({ evidence, k }: RunOutcome): string[] {
  if (!evidence) return [];
  const { split, merge } = evidence;
  const note = (
    decision: Decision | null,
    what: (of: Decision) => string,
    others: (of: Decision) => number,
  ) => {
    const margin = decision ? Math.abs(decision.nats - decision.needed) : Infinity;
    if (!decision || margin > CLOSE) return [];
    const odds = Math.exp(margin).toPrecision(2);
    return [
      `K could as well be ${k + others(decision)}: the evidence decides by odds of only ${odds} to 1 (${decisionText(what(decision), decision)}); --replicates 10 shows how far K can be relied on`,
    ];
  };
  // What was accepted by the evidence alone is proposed the other way round thereafter.
  const last = split.accepted?.needed ? split.accepted : null;
  return [
    ...note(split.refused, splitText, ({ sizes }) => sizes.length - 1),
    ...note(merge.refused, mergeText, () => -1),
    ...note(
      last,
      () => 'last split',
      ({ sizes }) => 1 - sizes.length,
    ),
  ];
}

/** A run may settle while the evidence favours clusters that the net does not learn, so that merges undo them. */
function undoneSplits({ reason, steps, graph }: RunOutcome): string[] {
  const [split, merge] = steps.slice(-2);
  if (reason !== 'settled' || graph || !isCycling(steps) || !split.changed || merge.joined) return [];
  return [
    `K settled at ${merge.k}, though the last split steps found ${split.k}: the net did not learn the others, so merges undid the splits; K may be larger, and --replicates 10 shows how far it can be relied on`,
  ];
}

function oneClusterNotes({ config, columns, rows, sampled, d }: RunOutcome): string[] {
  const notes = suspectColumns(columns, rows);
  const parameters = statisticsLength(d, config.covariance);
  if (d > MANY_COLUMNS)
    notes.push(
      `K is 1 in ${d} columns${isPca(config.transform) ? ' after the transform' : ''}: in so many, Gaussian clusters are hard to tell from noise; try --likelihood graph or --transform pca:${FEWER_COLUMNS}, or bring an embedding of about 10 columns, such as UMAP's`,
    );
  else if (sampled < Math.max(FEW_ROWS, ROWS_PER_PARAMETER * parameters)) {
    const advice = [
      ...fewerParameters(config, d),
      '--likelihood graph',
      // One step is worth trying; a larger one would not find what this did not.
      ...(config.alpha > (OPTIONS.alpha.fast ?? 0)
        ? []
        : [`--alpha ${10 * config.alpha} (favours more clusters)`]),
    ];
    notes.push(
      `K is 1 in ${count(sampled)} rows, few for clusters of ${parameters} parameters each; try ${advice.join(' or ')}, or bring more rows`,
    );
  }
  if (notes.length) return notes;
  const advice = [
    ...(config.transform === 'none' || config.transform === 'center'
      ? ['try --transform standard (all columns get the same weight)']
      : []),
    ...(columns.min.length > 1 ? ['leave out columns that do not tell them apart'] : []),
  ];
  const expected = advice.length ? `; if you expect clusters, ${advice.join(', or ')}` : '';
  return [
    `K is 1: no split into Gaussian clusters explains the rows better than one, which may be right${expected}`,
  ];
}

const fewerParameters = ({ covariance }: Pick<RunConfig, 'covariance'>, d: number) =>
  covariance === 'full' && d > 1 ? ['--covariance diag (fewer parameters)'] : [];

/** With fewer rows than parameters for each cluster, the evidence cannot tell near ones apart. */
function fewRows({ config, k, rows, sampled, d }: RunOutcome): string[] {
  const parameters = statisticsLength(d, config.covariance);
  if (sampled < rows || sampled >= k * parameters) return [];
  const advice = [...fewerParameters(config, d), '--likelihood graph'].join(' and ');
  return [
    `K is ${k} in ${count(sampled)} rows, ${Math.round(sampled / k)} for each cluster on average, fewer than its ${parameters} parameters: clusters that are near each other may be one here; compare with ${advice}, or bring more rows`,
  ];
}

/** Replicates that all find another K than the run say that it is not sure, however well they agree among themselves. */
export function notesOnReplicates(k: number, of: Replicates): string[] {
  const { count: replicates, clusters } = of;
  const [least, most] = of.k;
  const dissolved = [...clusters.keys()].filter((cluster) => (clusters[cluster] ?? 1) <= DISSOLVED);
  const [which, they] = dissolved.length === 1 ? ['cluster', 'it'] : ['clusters', 'they'];
  const more = dissolved.length > MOST_NAMED ? ` and ${dissolved.length - MOST_NAMED} more` : '';
  const lost = dissolved.length
    ? [
        `${which} ${dissolved.slice(0, MOST_NAMED).join(', ')}${more} did not come back in the ${replicates} replicates, each of half of the rows (Jaccard at most ${DISSOLVED}): with other rows ${they} would be divided or joined otherwise`,
      ]
    : [];
  if (least <= k && k <= most) return lost;
  const found = least === most ? `K ${least}` : `K ${least} to ${most}`;
  return [
    ...lost,
    `K is ${k}, but the ${replicates} replicates, each of half of the rows, found ${found}: K depends on which rows there are; bring more rows, or do not rely on it`,
  ];
}

function oneClusterOfGraph(
  { config, columns, rows, sampled }: RunOutcome,
  { stability }: Pick<GraphState, 'stability'>,
) {
  const notes = suspectColumns(columns, rows);
  if (sampled < FEW_ROWS)
    notes.push(`K is 1 in ${count(sampled)} rows, few for a graph of nearest neighbours; bring more rows`);
  if (notes.length) return notes;
  if (config.resolution !== null)
    return [
      `K is 1: at --resolution ${config.resolution} no partition of the graph of nearest neighbours was better than one cluster; a larger one finds more, and without the flag the data decide`,
    ];
  const what =
    stability === null
      ? 'partitions of other samples differ at every resolution, as without clusters'
      : 'no partition of the graph of nearest neighbours was better than one cluster';
  return [
    `K is 1: ${what}, which may be right; if you expect clusters, bring an embedding that tells them apart, or try --likelihood gaussian${columns.min.length > MANY_COLUMNS ? ` with --transform pca:${FEWER_COLUMNS}` : ''}`,
  ];
}

/** Columns that may hide clusters: numbers of rows, and those with a few values far from all others, which may be constant otherwise. */
function suspectColumns({ mean, min, max, variance, names }: ColumnFacts, rows: number): string[] {
  if (rows < ENOUGH_ROWS) return [];
  const all = Array.from(min, (least, column) => ({
    column,
    least,
    most: max[column],
    range: max[column] - least,
    sd: Math.sqrt(variance[column]),
    farthest: Math.max(max[column] - mean[column], mean[column] - least) / Math.sqrt(variance[column]),
  }));
  const identifiers = all.filter(
    ({ least, most, range, sd }) =>
      Number.isInteger(least) &&
      Number.isInteger(most) &&
      range >= rows - 1 &&
      Math.abs((sd * Math.sqrt(12)) / range - 1) < EVEN,
  );
  const far = all.filter(({ farthest }) => farthest > FAR && Number.isFinite(farthest));
  const named = (found: typeof all) =>
    namedColumns(
      found.map(({ column }) => column),
      names,
    );
  const notes: string[] = [];
  if (identifiers.length)
    notes.push(
      `K is 1, and ${named(identifiers)} ${identifiers.length === 1 ? 'looks' : 'look'} like row numbers or identifiers (whole numbers, evenly spread): leave ${identifiers.length === 1 ? 'it' : 'them'} out of the data`,
    );
  if (far.length)
    notes.push(
      `K is 1, and ${named(far)} ${far.length === 1 ? 'has' : 'have'} values as far as ${Math.round(Math.max(...far.map(({ farthest }) => farthest)))} standard deviations from the mean, which can hide clusters: if they are errors, remove these rows; if not, try logarithms (--log) where they are positive; leave out a column that is constant otherwise`,
    );
  return notes;
}

function namedColumns(columns: readonly number[], names: ColumnFacts['names']): string {
  const shown = columns.slice(0, MOST_NAMED).map((column) => names?.[column] ?? column);
  const more = columns.length > MOST_NAMED ? ` and ${columns.length - MOST_NAMED} more` : '';
  const from0 = names ? '' : ' (counted from 0)';
  return `${columns.length === 1 ? 'column' : 'columns'} ${shown.join(', ')}${more}${from0}`;
}

function negativeSilhouette({ silhouette }: RunOutcome): string[] {
  if (silhouette === null || silhouette >= 0) return [];
  return [
    `the silhouette is negative (${silhouette.toFixed(3)}): many rows are as near to another cluster as to their own, so clusters overlap or are not round (long, or one inside another); before you rely on K, look at the picture of clusters and the separation of each in the report`,
  ];
}

/** A long tail is more than one Gaussian, though it may be one cluster; where many are, it may hide clusters. */
function skewedColumns({ k, skewed, columns: { names } }: RunOutcome): string[] {
  if (!skewed.length) return [];
  const [are, their] = skewed.length === 1 ? ['is', 'its'] : ['are', 'their'];
  const harm =
    k > 1
      ? 'pieces of one such tail are clusters of their own here'
      : 'such a tail is as likely of one cluster as of several';
  return [
    `${namedColumns(skewed, names)} ${are} skewed (positive, with a long tail), and ${harm}: ${their} logarithms describe the rows better; try ${asLogFlag(skewed, names, MOST_NAMED)}`,
  ];
}

/** Columns by which clusters do not differ make these harder to find, where they are many. */
function alikeColumnsNote({ alike, columns: { mean, names } }: RunOutcome): string[] {
  if (alike.length < mean.length / 2) return [];
  return [
    `${alike.length} of the ${mean.length} columns carry nothing, as the mean of each is about the same in all clusters (${rangesOf(alike, names)}); small clusters are easier to find without them`,
  ];
}

/** Columns by name or number, runs of neighbours as one: "3 to 9, 12 (counted from 0)". */
function rangesOf(columns: readonly number[], names: readonly string[] | null): string {
  const runs: [first: number, last: number][] = [];
  for (const column of columns) {
    const last = runs.at(-1);
    if (last?.[1] === column - 1) last[1] = column;
    else runs.push([column, column]);
  }
  const called = (column: number) => names?.[column] ?? String(column);
  const shown = runs
    .slice(0, MOST_NAMED)
    .map(([first, last]) => (first === last ? called(first) : `${called(first)} to ${called(last)}`));
  const more = runs.length > MOST_NAMED ? ', …' : '';
  return `${shown.join(', ')}${more}${names ? '' : ', counted from 0'}`;
}

function mostReached({ k, d, graph, config: { covariance } }: RunOutcome): string[] {
  if (graph) return [];
  const most = mostClusters(d, covariance);
  if (k < NEARLY * most) return [];
  const advice = covariance === 'full' && mostClusters(d, 'diag') > most ? '--covariance diag or ' : '';
  return [
    `K is ${count(k)}, near the ${count(most)} clusters that ${covariance} covariance in ${d} columns allows (what is known of all of them has to fit in one message), so there may be more; try ${advice}--transform pca:${Math.ceil(d / 4)}`,
  ];
}

function smallSample({ k, rows, sampled }: RunOutcome): string[] {
  if (k === 1 || sampled >= rows || sampled >= FEW_ROWS_PER_CLUSTER * k) return [];
  const more = Math.min(rows, 4 * sampled);
  return [
    `K is ${k} from a sample of ${count(sampled)} of the ${count(rows)} rows, ${Math.round(sampled / k)} for each cluster on average: clusters with few rows in it cannot be found, so K may be too small; try --sample ${more === rows ? '0 (all rows)' : more}`,
  ];
}

function nearCopies({ sampled, graph }: RunOutcome): string[] {
  if (!graph?.copies) return [];
  const { of } = graph.copies;
  const others = of.filter((first, row) => first !== row);
  return [
    `${count(others.length)} of the ${count(sampled)} rows in the sample are near copies of ${count(new Set(others).size)} others and count as one row with these (copies.npy lists them); to count each, use --keep-copies`,
  ];
}

function tinyClusters({ k, rows, sizes, ids }: RunOutcome): string[] {
  const tiny = sizes.filter((size) => size > 0 && size < LEAST_ROWS);
  if (rows < FEW_ROWS || !tiny.length || tiny.length === k) return [];
  const one = tiny.length === 1;
  // Clusters are numbered by size.
  const [first, last] = [k - tiny.length, k - 1];
  const named = ids ? ids.slice(first, k).join(', ') : one ? last : `${first} to ${last}`;
  const which = `${one ? 'cluster' : 'clusters'} ${named} ${one ? 'has' : 'have'}`;
  return [
    `${which} fewer than ${LEAST_ROWS} rows${one ? '' : ' each'}: ${one ? 'it is' : 'they are'} rather rows that are far from all others; without ${one ? 'it' : 'them'} K is ${k - tiny.length}`,
  ];
}

function addedClusters({ k, added }: RunOutcome): string[] {
  if (!added.length) return [];
  const [least, most] = [Math.min(...added), Math.max(...added)];
  const sizes = least === most ? count(least) : `${count(least)} to ${count(most)}`;
  const [what, was] = added.length === 1 ? ['a cluster', 'was'] : [`${added.length} clusters`, 'were'];
  return [
    `${what} of ${sizes} rows, of which the sample had too few, ${was} added after all rows were read: of the ${k} clusters, training found ${k - added.length}`,
  ];
}

function unexplainedRows({ unexplained, rows }: RunOutcome): string[] {
  if (unexplained < Math.max(LEAST_ROWS, MANY_TIMES * BEYOND_REACH * rows)) return [];
  return [
    `${count(unexplained)} rows are farther from the centre of their cluster than one in a million of a Gaussian's: single rows far from all others, or clusters with heavy tails; their confidence is low (distances.npy, outlier_score in labels.csv)`,
  ];
}

function unfinishedNote({ reason, steps, config, k }: RunOutcome): string[] {
  if (reason === 'settled' || quietSteps(steps) >= 2 || isCycling(steps)) return [];
  const { maxEpochs } = config;
  const { fast, paper } = OPTIONS.maxEpochs;
  const usual = (config.schedule === 'paper' ? paper : fast) ?? 0;
  const enough = maxEpochs < usual ? usual : 2 * maxEpochs;
  const seen = steps.length
    ? `while K still changed (${lastKs(steps)})`
    : `before the first split step, so K is still ${k}`;
  if (reason === 'asked')
    return [`training was asked to end ${seen}; resume with --max-epochs ${maxEpochs} to go on`];
  const goOn = config.alternations
    ? `train again with --max-epochs ${enough} (resume cannot: encoders have learned from these clusters)`
    : `resume with --max-epochs ${enough} to go on`;
  return [`training ended at --max-epochs ${maxEpochs} ${seen}; ${goOn}`];
}

/** How K changed in the last steps, such as `8 → 12 → 14`. */
function lastKs(steps: readonly Step[]): string {
  const [first, ...rest] = steps.slice(-4);
  const before = first.kind === 'split' ? first.k - first.changed : first.k + first.changed;
  const ks = [before, first.k, ...rest.map(({ k }) => k)];
  return ks.filter((k, i) => k !== ks[i - 1]).join(' → ');
}

const count = (value: number) => value.toLocaleString('en');
