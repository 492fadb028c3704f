import { freemem } from 'node:os';
import { gigabytes } from '../../../base/quantities.ts';
import { UserError } from '../../../base/user-error.ts';
import { rowsAt } from '../../../data/remote/read-ahead.ts';
import type { Source } from '../../../data/source.ts';
import { type ColumnMap, mapColumns } from '../../../data/steps/linear.ts';
import { fromRaw, type Moments, type Transform } from '../../../data/transform.ts';
import type { Layout } from '../../../model/layout.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { autoencoderWidths, codeLayer, initialAutoencoder } from '../../../model/nets/autoencoder.ts';
import { layersOf, logits, netShapes, netSize, unflatten } from '../../../model/nets/net.ts';
import { generator, type Seed } from '../../../model/random.ts';
import { ariOfLabels } from '../../../model/scores.ts';
import { classifierOf, classify, type State } from '../../../model/state.ts';
import { netStates, transformTensors } from '../../../proto/model-tensors.ts';
import { MAX_MESSAGE } from '../../../proto/task-limits.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { Encoder, Encoding, LatentClusters } from '../../../run/encoding.ts';
import { columnsOf } from '../preparation/likelihood.ts';
import { densityTensors } from '../publish.ts';
import { FEW_COLUMNS } from '../reading/moments.ts';

/** Numbers in a latent vector, if there are enough columns. */
const MOST_LATENT = 10;
/** Bytes that the coordinator needs for each weight, at most: it and its two moments in states, results, sums and messages. */
const BYTES = 192;

/** Widths of the layers. UserError unless latent vectors are shorter than rows. */
export function widthsOf({ data, latent, encoderHidden }: RunConfig, dim: number): number[] {
  if (dim === 1)
    throw new UserError(
      `--encoder: ${data} has one column, and a latent vector cannot be shorter; leave it out`,
    );
  if (latent !== null && latent >= dim)
    throw new UserError(
      `--latent ${latent}: latent vectors have to be shorter than the ${dim} columns of ${data}; use less`,
    );
  return autoencoderWidths(dim, encoderHidden, latent ?? Math.min(MOST_LATENT, Math.floor(dim / 2)));
}

/** UserError if the weights do not fit in messages or memory; a warning where there is little to learn. */
export function checkEncoder(
  { data }: RunConfig,
  widths: readonly number[],
  warn: (message: string) => void,
  free = freemem(),
): void {
  const [dim] = widths;
  const size = netSize(netShapes([...widths], 0));
  // Weights and their two moments, beside other things.
  if (12 * size > 0.9 * MAX_MESSAGE)
    throw new UserError(
      `--encoder-hidden: an encoder of ${size.toLocaleString('en')} weights is too large for messages; make its layers narrower`,
    );
  const needed = BYTES * size;
  if (needed > free)
    throw new UserError(
      `--encoder-hidden: ${size.toLocaleString('en')} weights need about ${gigabytes(needed)} of memory here, ${gigabytes(free)} are free; make its layers narrower`,
    );
  if (dim <= FEW_COLUMNS)
    warn(
      `--encoder: ${data} has only ${dim} columns, which can be clustered as they are; an encoder helps with hundreds`,
    );
}

/** The encoder before its training, for rows of these moments. UserError if all rows are equal. */
export function newEncoding(
  config: RunConfig,
  layout: Layout,
  { moments, hashes }: { moments: Moments; hashes: Uint8Array },
  arePixels: boolean,
): Encoding {
  const { input, variance } = inputOf(moments, arePixels);
  if (!variance)
    throw new UserError(`${config.data}: all ${layout.rows} rows are equal; use data with different rows`);
  const { widths, params } = initialAutoencoder(BigInt(config.seed), widthsOf(config, layout.dim));
  return {
    ...{ hashes, input, variance },
    state: { widths, params, ...untrained(params.length) },
    ...{ alternation: 0, codes: null, clusters: null, brought: [] },
  };
}

const untrained = (size: number) => ({
  first: new Float32Array(size),
  second: new Float32Array(size),
  ...{ steps: 0, epoch: 0, loss: null },
});

/**
 * Rows are centred and divided by one number, so that their columns have variance 1 on average: an image's border matters less than
 * its middle. Columns in unlike units are first divided by their standard deviations.
 */
function inputOf(moments: Moments, arePixels: boolean): { input: ColumnMap; variance: number } {
  const { map, kept, columns } = columnsOf(moments, arePixels);
  const variances = diagonalOf(moments.covariance, moments.mean.length);
  const sum = kept.reduce((total, j) => total + variances[j] * columns.factor[j] ** 2, 0);
  const by = 1 / Math.sqrt(sum / kept.length);
  return {
    input: { factor: map.factor.map((f) => f * by), shift: map.shift.map((s) => s * by) },
    variance: kept.length,
  };
}

/** The learning rate of an alternation, as a share of that before: the encoder is trained, and should not forget. */
const ALTERNATION_RATE = 0.5;

/** Passes over the rows in an alternation. */
export const ALTERNATION_EPOCHS = 2;

/** Passes over the rows, and the largest learning rate. */
export const passesOf = (
  { encoderEpochs, encoderLr }: RunConfig,
  alternation: number,
): { epochs: number; rate: number } =>
  alternation
    ? { epochs: ALTERNATION_EPOCHS, rate: ALTERNATION_RATE * encoderLr }
    : { epochs: encoderEpochs, rate: encoderLr };

/**
 * An encoder reconstructs rows that it was trained on better than others of the same distribution. The relative gap is bounded by 3·√(passes/rows): with
 * 500 to 10,000 images of MNIST and 10 to 50 passes it was .4 to .9 of this bound.
 */
const MOST_GAP = 3;

/** The bound of the relative gap between the errors of rows that the encoder was not, and was trained on. */
export function gapOf({ encoderEpochs }: RunConfig, { alternation, state }: Encoding, rows: number): number {
  const passes = alternation ? encoderEpochs + ALTERNATION_EPOCHS * alternation : state.epoch;
  return MOST_GAP * Math.sqrt(passes / rows);
}

/** Agreement from which on labels count as the same: another alternation would hardly change them. */
const SAME = 0.99;

/**
 * What follows a clustering: the alternation in which the encoder learns from its clusters (DeepDPM's and DCN's alternating scheme),
 * or the same encoder, if there have been enough (`isLast`: by the user's wish), or labels no longer change.
 */
export function afterClustering(
  encoding: Encoding,
  clusters: LatentClusters,
  { alternations }: RunConfig,
  isLast: boolean,
): Encoding {
  const before = encoding.clusters?.labels;
  const agreement = before ? ariOfLabels(before, clusters.labels) : null;
  const brought = [...encoding.brought, { k: new Set(clusters.labels).size, agreement }];
  const alternation = encoding.alternation + 1;
  if (isLast || alternation > alternations || (agreement !== null && agreement >= SAME))
    return { ...encoding, brought };
  // The gradient has another size now, so Adam begins anew.
  const state = { ...encoding.state, ...untrained(encoding.state.params.length) };
  return { ...encoding, state, alternation, codes: null, clusters, brought };
}

/** Rows of which centres are made, and by which clusterings are compared. */
const MOST_ROWS = 10_000;
/** Rows that are labelled at once. */
const SLICE = 256;

/** The latent vectors of some rows, always the same: [n,L]. */
export async function someVectors(vectors: Source, seed: Seed): Promise<Float32Array> {
  const n = Math.min(vectors.rows, MOST_ROWS);
  // One at random of each of n equal parts of the file, whose order may have a period.
  const draw = generator(seed, 'code-clusters');
  const edge = (i: number) => Math.floor((i * vectors.rows) / n);
  const rows = Array.from({ length: n }, (_, i) => edge(i) + draw.below(edge(i + 1) - edge(i)));
  return rowsAt(vectors, rows);
}

/** The clusters of latent vectors by a trained state, as far as these vectors show them. */
export function clustersOf(
  vectors: Float32Array,
  transform: Transform,
  schedule: RunConfig['schedule'],
  state: State,
): LatentClusters {
  const dim = transform.input;
  const n = vectors.length / dim;
  const by = classifierOf(schedule, state, transform.scale);
  const { k } = state.mixture;
  const labels = new Int32Array(n);
  const counts = new Float64Array(k);
  const sums = new Float64Array(k * dim);
  const [total, squares] = [new Float64Array(dim), new Float64Array(dim)];
  for (let from = 0; from < n; from += SLICE) {
    const rows = vectors.subarray(from * dim, (from + SLICE) * dim);
    const labelled = classify(by, fromRaw(transform, rows));
    labels.set(labelled, from);
    for (const [i, label] of labelled.entries()) {
      counts[label]++;
      for (let j = 0; j < dim; j++) {
        const value = rows[i * dim + j];
        sums[label * dim + j] += value;
        total[j] += value;
        squares[j] += value * value;
      }
    }
  }
  const variances = squares.map((sum, j) => sum / n - (total[j] / n) ** 2);
  return {
    transform: transformTensors(transform),
    classifier: 'mixture' in by ? densityTensors(by.mixture) : netStates(state.net).weights,
    centres: Float32Array.from(sums, (sum, p) => sum / counts[Math.floor(p / dim)]),
    variance: variances.reduce((a, b) => a + b, 0) / dim,
    labels,
  };
}

/** ‖output − input‖² of each raw row. */
export function reconstructionErrors({ widths, params, input }: Encoder, raw: Float32Array): Float64Array {
  const [dim] = widths;
  const rows = raw.slice();
  mapColumns(input, rows);
  const shapes = netShapes([...widths], 0);
  const layers = layersOf({ params: unflatten(params, shapes), shapes });
  const code = codeLayer(widths) + 1;
  const rebuilt = logits(layers.slice(code), logits(layers.slice(0, code), rows));
  const errors = new Float64Array(rows.length / dim);
  for (const [p, value] of rebuilt.entries()) errors[Math.floor(p / dim)] += (value - rows[p]) ** 2;
  return errors;
}
