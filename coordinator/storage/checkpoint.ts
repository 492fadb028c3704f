import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { concatInSlices } from '../../base/slices.ts';
import { HASH_BYTES } from '../../data/blocks.ts';
import type { Fences } from '../../data/fences.ts';
import type { Transform } from '../../data/transform.ts';
import { splitEvenly } from '../../model/arrays.ts';
import { blockCount, type Layout } from '../../model/layout.ts';
import { type Net, netShapes, netSize, unflatten } from '../../model/nets/net.ts';
import { niwPrior, POINT_ESTIMATES } from '../../model/niw.ts';
import { END_REASONS, type EndReason } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { COVARIANCES, statisticsLength } from '../../model/statistics.ts';
import { decode, encode, MAX_MESSAGE, prefixed, unprefixed } from '../../proto/codec.ts';
import { layout } from '../../proto/messages.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { RunConfig } from '../config.ts';
import { netStates } from '../training/net-states.ts';
import type { DataMoments } from '../training/reading/moments.ts';
import { transformFrom, transformTensors } from '../training/transform-tensors.ts';
import { assertConsistent } from './consistent.ts';
import { sealed, unsealed } from './sealed-file.ts';

/** Totals over all sessions of a run. */
export interface RunTotals {
  seconds: number;
  rounds: number;
  rowsRead: number;
  /** The largest number at one time. */
  workers: number;
}

/** All that is needed to resume a run. Every number is restored bit for bit. */
export interface Checkpoint {
  /** With absolute paths, as in run.json. */
  config: Partial<RunConfig>;
  /** Numeric identity of the run's workers. */
  identity: string;
  layout: Layout;
  /** Results of the moments round. */
  dataSummary: DataMoments;
  /** Where the sample decided on it; null: as the config says. For those who draw the run: one that resumes plans it again. */
  transform: Transform | null;
  state: State;
  /** Why training ended, so that only the full pass remains; null: it has not ended. */
  ended: EndReason | null;
  spent: RunTotals;
}

const MAGIC = Buffer.from('DPMESHCK');
/** Incremented with every change that an older dpmesh would misread. */
const VERSION = 2;

const count = z.int().check(z.nonnegative());
/** The schema of `RunTotals`. */
export const totals = z.object({ seconds: z.number(), rounds: count, rowsRead: count, workers: count });
const header = z.object({
  config: z.record(z.string(), z.json()),
  identity: z.string(),
  layout,
  ended: z.nullable(z.enum(END_REASONS)),
  epoch: count,
  sample: z.object({ below: z.number(), rows: count, smallestShard: count }),
  frozen: count,
  patience: count,
  untilStep: count,
  steps: z.array(
    z.object({
      kind: z.enum(['split', 'merge']),
      changed: count,
      k: count,
      progress: z.nullable(z.number()),
      exhaustive: z.optional(z.literal(true)),
      joined: z.optional(z.literal(true)),
    }),
  ),
  k: z.int().check(z.positive()),
  d: z.int().check(z.positive()),
  covariance: z.enum(COVARIANCES),
  prior: z.object({ kappa: z.number(), nu: z.number(), estimate: z.enum(POINT_ESTIMATES) }),
  /** Adam steps taken by the clustering net and by the sub-nets. */
  adam: z.tuple([count, count]),
  /** With the graph likelihood. */
  graph: z.optional(
    z.object({
      resolution: z.number(),
      stability: z.nullable(z.number()),
      range: z.nullable(z.tuple([count, count])),
    }),
  ),
  spent: totals,
});

/** The parts of a checkpoint file, in order: magic, version, lengths, the frames of a message (proto/codec.ts), SHA-256. */
export async function encodeCheckpoint(checkpoint: Checkpoint): Promise<Uint8Array[]> {
  const { config, identity, dataSummary, transform, state, ended, spent } = checkpoint;
  const { epoch, sample, frozen, patience, untilStep, steps, mixture, prior, merged, net, subs, graph } =
    state;
  const { moments, sampleRows, hashes, fences } = dataSummary;
  const frames = encode(
    {
      config,
      identity,
      layout: checkpoint.layout,
      ended,
      epoch,
      sample,
      frozen,
      patience,
      untilStep,
      steps,
      k: mixture.k,
      d: mixture.d,
      covariance: mixture.covariance,
      prior: { kappa: prior.kappa, nu: prior.nu, estimate: prior.estimate },
      adam: [net.steps, subs.steps],
      ...(graph && {
        graph: { resolution: graph.resolution, stability: graph.stability, range: graph.range },
      }),
      spent,
    },
    {
      // Arrays, because they may be NaN, which the header cannot represent.
      loss: optional(state.loss),
      lossSinceChange: optional(state.lossSinceChange),
      weights: nd(mixture.weights),
      means: nd(await concatInSlices(mixture.means)),
      covariances: nd(await concatInSlices(mixture.covariances)),
      priorMean: nd(prior.mean),
      psi: nd(prior.psi),
      parts: nd(await concatInSlices(state.parts.flat())),
      merged: nd(await concatInSlices(merged)),
      ...prefixed([
        ['net', netTensors(net)],
        ['subs', netTensors(subs)],
        [
          'moments',
          {
            mean: nd(moments.mean),
            covariance: nd(moments.covariance),
            min: nd(moments.min),
            max: nd(moments.max),
          },
        ],
        ['fences', fences ? fencesTensors(fences) : {}],
        ['transform', transform ? transformTensors(transform) : {}],
      ]),
      sampleRows: nd(Float64Array.from(sampleRows)),
      hashes: nd(hashes),
      ...(graph && { graphLabels: nd(graph.labels) }),
    },
    MAX_MESSAGE,
  );
  // A checkpoint that could not be read back must not replace one that can.
  decode(header, frames);
  return sealed(MAGIC, VERSION, frames);
}

/** Decodes a checkpoint file. Throws DamagedCheckpoint or NewerCheckpoint. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  return unsealed(MAGIC, VERSION, bytes, (frames) => {
    const checkpoint = fromFrames(frames);
    assertConsistent(checkpoint);
    return checkpoint;
  });
}

function fromFrames(frames: Buffer[]): Checkpoint {
  const { header: head, tensors } = decode(header, frames);
  const {
    config,
    identity,
    layout,
    ended,
    epoch,
    sample,
    frozen,
    patience,
    untilStep,
    steps,
    k,
    d,
    covariance,
    prior,
    adam,
    graph,
    spent,
  } = head;
  const moments = unprefixed(tensors, 'moments');
  const f64 = (name: string, length?: number) => take(tensors, name, 'float64', length);
  const moment = (name: string) => take(moments, name, 'float64');
  const optionalOf = (name: string): number | null => f64(name)[0] ?? null;
  const p = statisticsLength(d, covariance);
  /** Length of a covariance matrix. */
  const size = covariance === 'full' ? d * d : d;
  const merged = f64('merged');
  const halves = splitEvenly(f64('parts', 2 * k * p), 2 * k);
  return {
    config: config as Partial<RunConfig>,
    identity,
    layout,
    ended,
    spent,
    dataSummary: {
      sampleRows: [...f64('sampleRows', layout.shards)],
      hashes: take(tensors, 'hashes', 'uint8', HASH_BYTES * blockCount(layout)),
      moments: {
        rows: layout.rows,
        mean: moment('mean'),
        covariance: moment('covariance'),
        min: moment('min'),
        max: moment('max'),
      },
      fences: fencesFrom(unprefixed(tensors, 'fences')),
    },
    transform: savedTransform(unprefixed(tensors, 'transform')),
    state: {
      epoch,
      sample,
      frozen,
      patience,
      untilStep,
      loss: optionalOf('loss'),
      lossSinceChange: optionalOf('lossSinceChange'),
      steps,
      mixture: {
        k,
        d,
        covariance,
        weights: f64('weights', k),
        means: splitEvenly(f64('means', k * d), k),
        covariances: splitEvenly(f64('covariances', k * size), k),
      },
      prior: niwPrior({ ...prior, covariance, mean: f64('priorMean', d), psi: f64('psi', size) }),
      net: netFrom(unprefixed(tensors, 'net'), adam[0]),
      subs: netFrom(unprefixed(tensors, 'subs'), adam[1]),
      merged: merged.length ? splitEvenly(merged, merged.length / p) : [],
      parts: Array.from({ length: k }, (_, c) => halves.slice(2 * c, 2 * c + 2)),
      ...(graph && { graph: { ...graph, labels: take(tensors, 'graphLabels', 'int32') } }),
    },
  };
}

const fencesTensors = ({ columns, low, high, least, most }: Fences): Tensors => ({
  columns: nd(columns),
  low: nd(low),
  high: nd(high),
  least: nd(least),
  most: nd(most),
});

/** Null if there are none. */
function fencesFrom(tensors: Tensors): Fences | null {
  if (!Object.keys(tensors).length) return null;
  const limit = (name: string) => take(tensors, name, 'float32');
  return {
    columns: take(tensors, 'columns', 'int32'),
    low: limit('low'),
    high: limit('high'),
    least: limit('least'),
    most: limit('most'),
  };
}

/** Null if there is none, as in runs whose config has it, and in checkpoints of earlier versions. */
const savedTransform = (tensors: Tensors) => (Object.keys(tensors).length ? transformFrom(tensors) : null);

/** A number, or none, as a tensor. */
const optional = (value: number | null) => nd(Float64Array.from(value === null ? [] : [value]));

function netTensors(net: Net): Tensors {
  const { weights, moments } = netStates(net);
  return { ...weights, ...moments };
}

function netFrom(tensors: Tensors, steps: number): Net {
  const shapes = netShapes([...take(tensors, 'widths', 'int32')], take(tensors, 'nets', 'int32', 1)[0]);
  const arrays = (name: string) =>
    unflatten(take(tensors, name, 'float32', netSize(shapes)), shapes).map((values) => values.slice());
  return { shapes, params: arrays('params'), first: arrays('first'), second: arrays('second'), steps };
}

/** The fingerprint of the data: a hash over the hashes of all blocks. */
export function fingerprint(hashes: Uint8Array): string {
  return createHash('sha256').update(hashes).digest('hex').slice(0, 32);
}
