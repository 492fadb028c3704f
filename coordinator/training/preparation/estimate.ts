import { pcaAxes } from '../../../data/transform.ts';
import type { Layout } from '../../../model/layout.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import type { RunConfig } from '../../config.ts';
import { MOST_EXACT, mayBeGraph, momentsCovariance } from '../reading/moments.ts';
import { SUM } from './limits.ts';

/**
 * Roughly what a run will need, for --dry-run: from what was measured on two cores of 2024 (docs/benchmarks.md), for an ordinary run of
 * ten clusters in 66 epochs. Within a factor of three on a machine that does nothing else.
 */

export interface EstimateInput {
  config: RunConfig;
  layout: Layout;
  /** Rows that are trained on at first. */
  sample: number;
  workers: number;
  /** Processes that can compute at the same time. */
  cores: number;
  /** Bytes of float32 rows that one worker reads in a second. */
  readRate: number;
}

export interface Estimate {
  /** Peak resident memory in bytes: of each worker, and of the coordinator. */
  worker: number;
  coordinator: number;
  /** From the first row to the labels. */
  seconds: number;
}

const [CLUSTERS, EPOCHS] = [10, 66];
const MEGA = 1e6;
/** Processes that have only begun, and buffers of a file that does not fit into them. */
const [WORKER_BYTES, COORDINATOR_BYTES, BUFFER_BYTES] = [125 * MEGA, 95 * MEGA, 85 * MEGA];
/** Of each row at the coordinator: its label, and what is known of its block. */
const ROW_BYTES = 9;
/** Float32 numbers of a sampled row at a worker: the row, its y, and what the nets make of it. */
const COPIES = 3;
/** Seconds: to start; of an epoch besides its rows; of a row in the graph of neighbours and its partitions. */
const [START, EPOCH, GRAPH_ROW] = [0.8, 0.02, 5e-4];
/** Passes over all rows: moments, and labels. */
const PASSES = 2;
/** Numbers of a row's features, where clusters are parts of a graph. */
const FEATURES = 64;
/** Operations of the encoder in a second on one core; for each weight of encoder and decoder there are six a row. */
const [ENCODER_RATE, ENCODER_OPERATIONS] = [1e10, 6];

export function estimate({ config, layout, sample, workers, cores, readRate }: EstimateInput): Estimate {
  const { rows, dim, shards } = layout;
  const isGraph = mayBeGraph(config, dim);
  const d = isGraph ? Math.min(dim, FEATURES) : (pcaAxes(config.transform) ?? dim);
  const covariance = isGraph ? 'diag' : config.covariance;
  const moments = statisticsLength(Math.min(dim, MOST_EXACT), momentsCovariance(config, dim));
  const numbers = statisticsLength(d, covariance);
  const atOnce = Math.max(1, Math.min(workers, cores, shards));
  const bytes = 4 * rows * dim;

  const statistics = 8 * Math.max(moments, CLUSTERS * numbers);
  const worker =
    WORKER_BYTES +
    Math.min(BUFFER_BYTES, bytes / workers) +
    (COPIES * 4 * sample * dim) / workers +
    Math.ceil(shards / workers) * statistics;
  const coordinator = COORDINATOR_BYTES + ROW_BYTES * rows + shards * statistics;

  const reading = PASSES * (bytes / readRate);
  const training = isGraph ? GRAPH_ROW * sample : SUM * CLUSTERS * EPOCHS * sample * numbers;
  const labelling = SUM * CLUSTERS * rows * numbers;
  const seconds =
    START + EPOCHS * EPOCH + (reading + training + labelling + encoding(config, rows, dim)) / atOnce;
  return { worker, coordinator, seconds };
}

/** Seconds of one core for the encoder; 0 without one. */
function encoding({ encoder, encoderHidden, encoderEpochs, latent }: RunConfig, rows: number, dim: number) {
  if (encoder === 'none') return 0;
  const widths = [dim, ...encoderHidden, latent ?? 10];
  const weights = widths.slice(1).reduce((sum, width, i) => sum + width * widths[i], 0);
  return (2 * weights * ENCODER_OPERATIONS * rows * encoderEpochs) / ENCODER_RATE;
}
