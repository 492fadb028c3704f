import { pcaAxes } from '../../data/transform-choice.ts';
import { elementCount } from '../../model/arrays.ts';
import type { Layout } from '../../model/layout.ts';
import { autoencoderWidths } from '../../model/nets/autoencoder.ts';
import { netShapes } from '../../model/nets/net.ts';
import { statisticsLength } from '../../model/statistics.ts';
import type { RunConfig } from '../../run/config.ts';
import { isSent, MOST_EXACT, mayBeGraph, momentsCovariance } from './reading/moments.ts';

/** The memory that a run will need, for --dry-run: of eight runs of 70,000 to 100 million rows at most 36 % off. */

const MEGA = 1e6;
/** Processes that have only begun, and buffers of a file that does not fit into them. */
const [WORKER_BYTES, COORDINATOR_BYTES, BUFFER_BYTES] = [125 * MEGA, 225 * MEGA, 85 * MEGA];
/** What the graph takes at the coordinator, beside the covariances of shards. */
const GRAPH_BYTES = 60 * MEGA;
/** Of each row at the coordinator: its block, and its distance. */
const ROW_BYTES = 1;
/** Float32 numbers of a sampled row at a worker: the row, its y, and what the nets make of it. */
const ROW_COPIES = 3;
/** Copies of an encoder's weights and Adam moments, of which both sides hold several while they are exchanged. */
const ENCODER_COPIES = 12;
const [FLOAT, DOUBLE] = [Float32Array.BYTES_PER_ELEMENT, Float64Array.BYTES_PER_ELEMENT];
/** Of an ordinary run. */
const CLUSTERS = 10;

/** Peak resident memory of each of `workers` processes and of the coordinator, bytes. `sample`: rows of the sample. */
export function memoryOf(
  config: RunConfig,
  layout: Layout,
  sample: number,
  workers: number,
): { worker: number; coordinator: number } {
  const { rows, dim, shards } = layout;
  const isEncoded = config.encoder !== 'none';
  const columns = isEncoded ? (config.latent ?? 10) : dim;
  const graph = mayBeGraph(config, columns);
  const d = pcaAxes(config.transform) ?? columns;
  const training = Math.min(workers, shards);
  const ofMoments = statisticsLength(Math.min(columns, MOST_EXACT), momentsCovariance(config, columns));
  const ofClusters = CLUSTERS * statisticsLength(d, graph ? 'diag' : config.covariance);
  const statistics = DOUBLE * Math.max(ofMoments, ofClusters);
  const sent = isSent({ rows, dim: columns }, sample / rows) ? FLOAT * sample * columns : 0;
  const encoder = isEncoded
    ? ENCODER_COPIES * 3 * FLOAT * parameters(autoencoderWidths(dim, config.encoderHidden, columns))
    : 0;
  return {
    worker:
      WORKER_BYTES +
      Math.min(BUFFER_BYTES, (FLOAT * rows * columns) / training) +
      (ROW_COPIES * FLOAT * sample * columns) / training +
      Math.ceil(shards / training) * statistics +
      encoder / 2,
    coordinator:
      COORDINATOR_BYTES +
      ROW_BYTES * rows +
      sent +
      shards * (graph ? DOUBLE * Math.min(columns, MOST_EXACT) ** 2 : statistics) +
      (graph ? GRAPH_BYTES : 0) +
      encoder,
  };
}

/** Parameters of a net of these widths. */
const parameters = (widths: readonly number[]) =>
  netShapes([...widths], 0).reduce((sum, shape) => sum + elementCount(shape), 0);
