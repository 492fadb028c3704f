import type { Transform } from '../data/transform.ts';
import type { ColumnKinds } from '../model/gaussian/columns.ts';
import { type Layout, shardsFor } from '../model/layout.ts';
import { diagonalOf } from '../model/linalg.ts';
import { netWidths } from '../model/nets/net.ts';
import type { Copies, State } from '../model/state.ts';
import type { RunConfig } from './config.ts';
import type { DataMoments } from './data-moments.ts';
import { stepProblem } from './model-shapes.ts';

/** Whether the decoded parts of a checkpoint fit each other: shapes, counts, ranges. How the bytes are laid out, checkpoint.ts knows. */

interface CheckpointParts {
  config: Partial<RunConfig>;
  layout: Layout;
  dataSummary: DataMoments;
  transform: Transform | null;
  state: State;
}

/**
 * Throws where the parts of a decoded checkpoint, each of the length that its header says, do not fit each other or its config,
 * or have values that no run has: what continues from it would fail without saying why. The loss of a run may be NaN, and
 * Adam's second moments may overflow; both do no harm.
 */
export function assertConsistent({ config, layout, dataSummary, transform, state }: CheckpointParts): void {
  const { mixture, net, subs, parts } = state;
  const { moments, sampleRows, fences } = dataSummary;
  const { k, d, covariance } = mixture;
  const { dim } = layout;
  const { graph } = state;
  const shards = shardsFor(config.shards ?? layout.shards, layout.rows);
  // With the graph likelihood, the mixture only describes the clusters.
  const found = {
    shards: layout.shards,
    seed: layout.seed,
    covariance: graph ? config.covariance : covariance,
  };
  for (const [name, value] of Object.entries(found)) {
    const given = name === 'shards' ? shards : (config[name as keyof typeof found] ?? value);
    if (given !== value) throw new RangeError(`its ${name} is ${value}, that of its config another`);
  }
  if (graph && !(graph.resolution > 0 && graph.labels.length === state.sample.rows))
    throw new RangeError('its graph has another number of rows than its sample');
  if (graph && !graph.labels.every((label) => label >= 0 && label < k))
    throw new RangeError('its rows are in clusters that are not there');
  if (graph?.copies && !areCopies(graph.copies, state.sample.rows))
    throw new RangeError('its groups of copies do not fit its sample');
  if (state.prior.kinds && !areKinds(state.prior.kinds, d))
    throw new RangeError('its kinds of columns do not fit its columns');
  // Each column may have an indicator of one exact value beside it.
  if (d > 2 * dim) throw new RangeError(`${d} dimensions of ${dim} columns`);
  if (transform) assertTransform(transform, dim, d);
  const hidden = config.hidden ?? netWidths(net.shapes).slice(1, -1);
  assertWidths('net', netWidths(net.shapes), [d, ...hidden, k]);
  if (net.shapes[0].length !== 2) throw new RangeError('its clustering net is a batch of nets');
  assertWidths('sub-nets', netWidths(subs.shapes), [d, ...netWidths(subs.shapes).slice(1, -1), 2]);
  if (subs.shapes[0].length !== 3 || subs.shapes[0][0] !== k) throw new RangeError(`not ${k} sub-nets`);
  for (const name of ['mean', 'min', 'max'] as const)
    if (moments[name].length !== dim) throw new RangeError(`${name} of ${moments[name].length} columns`);
  if (![dim, dim * dim].includes(moments.covariance.length))
    throw new RangeError(`covariance of ${moments.covariance.length} numbers`);
  if (!areCounts(sampleRows) || !sampleRows.some((rows) => rows > 0))
    throw new RangeError('its sample has no counts of rows');
  const { below, rows, smallestShard } = state.sample;
  if (!(below > 0 && below <= 1 && rows <= layout.rows && smallestShard >= 1 && smallestShard <= rows))
    throw new RangeError('its sample has impossible limits');
  const limits = fences ? [fences.low, fences.high, fences.least, fences.most] : [];
  if (fences && !fences.columns.every((column) => column >= 0 && column < dim))
    throw new RangeError('its fences are of a column that is not there');
  if (fences && !limits.every(({ length }) => length === fences.columns.length))
    throw new RangeError('its fences are not as many as their columns');
  if (fences && !fences.low.every((low, i) => low <= fences.least[i] && fences.most[i] <= fences.high[i]))
    throw new RangeError('its fences do not enclose its rows');
  const finite = {
    fences: limits,
    prior: [state.prior.mean, state.prior.psi, Float64Array.of(state.prior.kappa, state.prior.nu)],
    merged: state.merged,
    moments: [moments.mean, moments.covariance, moments.min, moments.max],
    mixture: [mixture.weights, ...mixture.means, ...mixture.covariances],
    parts: parts.flat(),
    nets: [...net.params, ...net.first, ...subs.params, ...subs.first],
  };
  for (const [name, arrays] of Object.entries(finite))
    if (!arrays.every((values: Float64Array | Float32Array) => values.every(Number.isFinite)))
      throw new RangeError(`its ${name} have values that are not finite`);
  if (!mixture.weights.every((weight) => weight >= 0) || !mixture.weights.some((weight) => weight > 0))
    throw new RangeError('its weights are not those of clusters');
  const variances = diagonalOf(moments.covariance, dim);
  if (!variances.every((variance, i) => variance >= 0 || moments.max[i] === moments.min[i]))
    throw new RangeError('it has negative variances');
}

/** Of raw rows of `input` columns to rows of `dim` numbers. */
function assertTransform(transform: Transform, input: number, dim: number): void {
  const { columns, weights, bias, scale, offset } = transform;
  const step = stepProblem(transform, input);
  if (step) throw new RangeError(`the ${step} of its transform are not of its columns`);
  const arrays = [weights, bias, scale, offset];
  const fits =
    transform.input === input &&
    [bias, scale, offset].every(({ length }) => length === dim) &&
    weights.length === (columns ? dim : input * dim) &&
    (!columns ||
      (columns.length === dim &&
        columns.every((c) => c >= 0 && c < input + (transform.atoms?.columns.length ?? 0))));
  if (!fits) throw new RangeError('its transform is not one of its columns');
  if (!arrays.every((values: Float64Array | Float32Array) => values.every(Number.isFinite)))
    throw new RangeError('its transform has values that are not finite');
}

/** Is each of D columns continuous, or of one category? */
function areKinds({ continuous, categories, spikes }: ColumnKinds, d: number): boolean {
  const flags = categories
    .filter((category) => category.columns.length === 1)
    .map((category) => category.columns[0]);
  const own = spikes.map(({ column }) => column);
  const columns = [...own, ...continuous, ...categories.flatMap((category) => category.columns)].sort(
    (a, b) => a - b,
  );
  const fit = categories.every(
    ({ columns, low, step }) =>
      low.length === columns.length && step.length === columns.length && step.every((size) => size !== 0),
  );
  return (
    fit &&
    spikes.every(({ flag }) => flags.includes(flag)) &&
    columns.length === d &&
    columns.every((column, i) => column === i)
  );
}

const areCounts = (counts: number[]) => counts.every((count) => Number.isSafeInteger(count) && count >= 0);

function assertWidths(name: string, widths: number[], expected: number[]): void {
  if (String(widths) !== String(expected)) throw new RangeError(`its ${name}: ${widths}, not ${expected}`);
}

/** Do these leave so many rows in the sample? */
function areCopies({ of, starts }: Copies, rows: number): boolean {
  const isInside = of.every((first) => first >= 0 && first < of.length);
  const areStarts = starts[0] === 0 && starts.every((start, i) => i === 0 || start >= starts[i - 1]);
  return (
    isInside &&
    areStarts &&
    starts.at(-1) === of.length &&
    of.filter((first, i) => first === i).length === rows
  );
}
