import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { list, record } from '../base/schema.ts';
import { concatInSlices, ranges, yieldToEventLoop } from '../base/slices.ts';
import type { OutlierBounds } from '../data/steps/fences.ts';
import type { Transform } from '../data/transform.ts';
import { concat, splitEvenly } from '../model/arrays.ts';
import { niwPrior, POINT_ESTIMATES } from '../model/gaussian/niw.ts';
import { blockCount, HASH_BYTES, type Layout } from '../model/layout.ts';
import { areAutoencoderWidths } from '../model/nets/autoencoder.ts';
import { type Net, netShapes, netSize, unflatten } from '../model/nets/net.ts';
import { END_REASONS, type EndReason } from '../model/schedule.ts';
import type { State } from '../model/state.ts';
import { COVARIANCES, statisticsLength } from '../model/statistics.ts';
import type { Stream } from '../model/stream/stream.ts';
import { decode, encode, prefixed, unprefixed } from '../proto/codec.ts';
import { layout } from '../proto/layout.ts';
import { netStates, transformFrom, transformTensors } from '../proto/model-tensors.ts';
import { MAX_MESSAGE } from '../proto/task-limits.ts';
import { nd, type Tensors, type TypedArray, take } from '../proto/tensors.ts';
import type { RunConfig } from './config.ts';
import { assertConsistent } from './consistent.ts';
import type { DataMoments } from './data-moments.ts';
import type { Encoding, LatentClusters } from './encoding.ts';
import { drift, proposal } from './events.ts';
import { FORMAT } from './finished-run.ts';
import { pastUpdates } from './saved-clusters.ts';

/**
 * Checkpoints: what a stage of a run needs to go on, every number bit for bit. A file is the frames of one message (proto/codec.ts),
 * sealed so that damage is noticed: magic, format, lengths, frames, SHA-256. docs/run-directory.md describes it.
 */

/** Totals over all sessions of a run. */
export interface RunTotals {
  seconds: number;
  rounds: number;
  rowsRead: number;
  /** The largest number at one time. */
  workers: number;
}

/** What all checkpoints have. */
interface Common {
  /** With absolute paths, as in run.json. */
  config: Partial<RunConfig>;
  /** Numeric identity of the run's workers. */
  identity: string;
  /** The layout of the rows that the stage works on. */
  layout: Layout;
  /** Until it was saved. */
  spent: RunTotals;
}

/** A checkpoint of the training of clusters. */
export interface ClusterCheckpoint extends Common {
  stage: 'cluster';
  /** The first reading of the rows. */
  dataSummary: DataMoments;
  /** Where the data decided on it; null: as the config says. For those who draw the run: one that resumes plans it again. */
  transform: Transform | null;
  state: State;
  /** Why training ended, so that only the full pass remains; null: it has not ended. */
  ended: EndReason | null;
  /** Only of the state at the end of a run, from which updates go on. */
  stream?: Stream;
}

/** Of the training of an encoder. It is kept as long as its latent vectors are clustered. */
export interface EncoderCheckpoint extends Common {
  stage: 'encode';
  encoding: Encoding;
}

export type Checkpoint = ClusterCheckpoint | EncoderCheckpoint;

/** Epochs of its stage. */
export const epochOf = (checkpoint: Checkpoint): number =>
  (checkpoint.stage === 'cluster' ? checkpoint.state : checkpoint.encoding.state).epoch;

/** The hashes of all blocks of the rows that it is of. */
export const hashesOf = (checkpoint: Checkpoint): Uint8Array =>
  (checkpoint.stage === 'cluster' ? checkpoint.dataSummary : checkpoint.encoding).hashes;

const MAGIC = Buffer.from('DPMESHCK');

const count = z.int().check(z.nonnegative());
const totals = z.object({ seconds: z.number(), rounds: count, rowsRead: count, workers: count });
const common = {
  config: record(z.string(), z.json()),
  identity: z.string(),
  layout,
  epoch: count,
  spent: totals,
};
const encoderHeader = z.object({
  stage: z.literal('encode'),
  ...common,
  alternation: count,
  codes: z.nullable(z.string()),
  brought: list(z.object({ k: count, agreement: z.nullable(z.number()) })),
});
const kinds = z.object({
  continuous: list(count),
  categories: list(z.object({ columns: list(count), low: list(z.number()), step: list(z.number()) })),
  spikes: list(z.object({ column: count, flag: count, at: z.number() })),
});
const gone = z.object({ id: count, since: count, cluster: z.optional(count) });
const clusterHeader = z.object({
  stage: z.literal('cluster'),
  ...common,
  ended: z.nullable(z.enum(END_REASONS)),
  sample: z.object({ below: z.number(), rows: count, smallestShard: count }),
  frozen: count,
  patience: count,
  untilStep: count,
  overlaps: z.optional(z.boolean()),
  steps: list(
    z.object({
      kind: z.enum(['split', 'merge']),
      changed: count,
      k: count,
      progress: z.nullable(z.number()),
      exhaustive: z.optional(z.literal(true)),
      closest: z.optional(proposal),
      joined: z.optional(z.literal(true)),
      last: z.optional(z.literal(true)),
    }),
  ),
  k: z.int().check(z.positive()),
  d: z.int().check(z.positive()),
  covariance: z.enum(COVARIANCES),
  prior: z.object({
    kappa: z.number(),
    nu: z.number(),
    estimate: z.enum(POINT_ESTIMATES),
    leastKappa: z.optional(z.boolean()),
  }),
  kinds: z.optional(kinds),
  /** Adam steps taken by the clustering net and by the sub-nets. */
  adam: z.tuple([count, count]),
  stream: z.optional(
    z.object({
      ...{ updates: count, seen: count, weight: z.number(), most: z.int().check(z.positive()) },
      ...{ ids: list(count), next: count, looked: list(z.int()) },
      ...{ peaks: list(z.number()), gone: list(gone) },
      clusters: z.optional(z.object({ of: list(count), next: count })),
      ...{ drift: z.nullable(drift), alarm: z.nullable(z.string()) },
      residual: z.optional(
        z.object({ rows: z.number(), mean: z.number(), variance: z.number(), gap: z.number() }),
      ),
    }),
  ),
  /** Only with the graph likelihood. */
  graph: z.optional(
    z.object({
      resolution: z.number(),
      stability: z.nullable(z.number()),
      range: z.nullable(z.tuple([count, count])),
    }),
  ),
});

const header = z.discriminatedUnion('stage', [clusterHeader, encoderHeader]);

/** The parts of a checkpoint file, in order. */
export async function encodeCheckpoint(checkpoint: Checkpoint): Promise<Uint8Array[]> {
  const { stage, config, identity, layout, spent } = checkpoint;
  const about = { stage, config, identity, layout, spent, epoch: epochOf(checkpoint) };
  const { fields, tensors } =
    stage === 'cluster' ? await clusterParts(checkpoint) : encoderParts(checkpoint.encoding);
  const frames = encode({ ...about, ...fields }, tensors, MAX_MESSAGE);
  // A checkpoint that could not be read back must not replace one that can.
  decode(header, frames);
  return sealed(frames);
}

/** Decodes a checkpoint file. Throws DamagedCheckpoint. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  const frames = unsealed(bytes);
  try {
    const { header: head, tensors } = decode(header, frames());
    const { config, identity, layout, spent } = head;
    const about = { config: config as Partial<RunConfig>, identity, layout, spent };
    if (head.stage === 'encode') return { stage: 'encode', ...about, encoding: encodingFrom(head, tensors) };
    const checkpoint: ClusterCheckpoint = { stage: 'cluster', ...about, ...clustersFrom(head, tensors) };
    assertConsistent(checkpoint);
    return checkpoint;
  } catch (error) {
    throw new DamagedCheckpoint(`its content is inconsistent (${(error as Error).message})`);
  }
}

async function clusterParts({ dataSummary, transform, state, ended, stream }: ClusterCheckpoint) {
  const { mixture, prior, parts, merged, net, subs, graph, loss, lossSinceChange, ...pace } = state;
  const { k, d, covariance, weights, means, covariances } = mixture;
  const { kappa, nu, estimate, leastKappa, alike, mean, psi, kinds } = prior;
  const { moments, sampleRows, hashes, fences } = dataSummary;
  const { rows: _, ...arrays } = moments;
  const { labels, copies, ...aboutGraph } = graph ?? {};
  return {
    fields: {
      ...{
        ended,
        ...pace,
        k,
        d,
        covariance,
        prior: { kappa, nu, estimate, ...(leastKappa && { leastKappa }) },
      },
      adam: [net.steps, subs.steps],
      ...(kinds && { kinds }),
      ...(graph && { graph: aboutGraph }),
      ...(stream && { stream: aboutStream(stream) }),
    },
    tensors: {
      // Arrays, because they may be NaN, which the header cannot represent.
      loss: optional(loss),
      lossSinceChange: optional(lossSinceChange),
      weights: nd(weights),
      means: nd(await concatInSlices(means)),
      covariances: nd(await concatInSlices(covariances)),
      priorMean: nd(mean),
      psi: nd(psi),
      ...(alike && { alike: nd(alike) }),
      parts: nd(await concatInSlices(parts.flat())),
      merged: nd(await concatInSlices(merged)),
      ...prefixed([
        ['net', netTensors(net)],
        ['subs', netTensors(subs)],
        ['moments', tensorsOf(arrays)],
        ['fences', fences ? tensorsOf({ ...fences }) : {}],
        ['transform', transform ? transformTensors(transform) : {}],
        ['stream', stream ? streamTensors(stream) : {}],
      ]),
      sampleRows: nd(Float64Array.from(sampleRows)),
      hashes: nd(hashes),
      ...(labels && { graphLabels: nd(labels) }),
      ...(copies && { copyOf: nd(copies.of), copyStarts: nd(copies.starts) }),
    },
  };
}

const aboutStream = ({
  peaks,
  gone,
  keys,
  labels,
  since,
  covariance,
  history,
  parts,
  clusters,
  ...about
}: Stream) => ({
  ...about,
  ids: [...about.ids],
  looked: [...about.looked],
  ...(clusters && { clusters: { of: [...clusters.of], next: clusters.next } }),
  peaks: peaks.map(({ weight }) => weight),
  gone: gone.map(({ T: _, ...own }) => own),
});
const streamTensors = ({ keys, labels, since, covariance, peaks, gone, history, parts }: Stream) =>
  tensorsOf({
    ...{ keys, labels, since, covariance },
    // Longer than a header may be.
    past: new TextEncoder().encode(JSON.stringify({ history, parts })),
    remembered: concat(
      [...peaks, ...gone].map(({ T }) => T),
      Float64Array,
    ),
  });

const pastOf = z.object({
  history: pastUpdates,
  parts: list(
    z.object({ update: count, data: z.string(), rows: count, shards: count, fingerprint: z.string() }),
  ),
});

/** Of a state of k clusters in d dimensions. */
function streamFrom(
  { peaks, gone, clusters, ...about }: ReturnType<typeof aboutStream>,
  tensors: Tensors,
  { k, d, covariance: kind }: Pick<z.infer<typeof clusterHeader>, 'k' | 'd' | 'covariance'>,
): Stream {
  const keys = take(tensors, 'keys', 'float64');
  const [labels, since] = ['labels', 'since'].map((name) => take(tensors, name, 'int32', keys.length));
  const past = pastOf.parse(JSON.parse(new TextDecoder().decode(take(tensors, 'past', 'uint8'))));
  const { ids, next, most, seen } = about;
  const own = new Set(ids);
  const isSound =
    ids.length === k &&
    peaks.length === k &&
    about.looked.length === k &&
    gone.every(({ id }) => id < next && !ids.includes(id)) &&
    own.size === k &&
    (!clusters || (clusters.of.length === k && clusters.of.every((id) => id < clusters.next))) &&
    ids.every((id) => id < next) &&
    keys.length <= Math.min(most, seen) &&
    keys.every((key) => key >= 0 && key < 1) &&
    labels.every((label) => label === -1 || own.has(label));
  if (!isSound) throw new RangeError('its sample is not one of its clusters');
  const covariance = take(tensors, 'covariance', 'float64');
  if (![d, d * d].includes(covariance.length))
    throw new RangeError('its covariance is not one of its columns');
  const all = k + gone.length;
  const Ts = splitEvenly(take(tensors, 'remembered', 'float64', all * statisticsLength(d, kind)), all);
  return {
    ...{ ...about, keys, labels, since, covariance, ...past },
    ...(clusters && { clusters }),
    peaks: peaks.map((weight, i) => ({ weight, T: Ts[i] })),
    gone: gone.map((own, i) => ({ ...own, T: Ts[k + i] })),
  };
}

function clustersFrom(head: z.infer<typeof clusterHeader>, tensors: Tensors) {
  const { layout, ended, epoch, sample, frozen, patience, untilStep, overlaps = false, steps } = head;
  const { k, d, covariance, prior, adam, graph, stream } = head;
  const kinds = head.kinds && { kinds: head.kinds };
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
    ended,
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
      fences: boundsFrom(unprefixed(tensors, 'fences')),
    },
    transform: savedTransform(unprefixed(tensors, 'transform')),
    ...(stream && { stream: streamFrom(stream, unprefixed(tensors, 'stream'), head) }),
    state: {
      ...{ epoch, sample, frozen, patience, untilStep, overlaps, steps },
      loss: optionalOf('loss'),
      lossSinceChange: optionalOf('lossSinceChange'),
      mixture: {
        k,
        d,
        covariance,
        weights: f64('weights', k),
        means: splitEvenly(f64('means', k * d), k),
        covariances: splitEvenly(f64('covariances', k * size), k),
        ...kinds,
      },
      prior: niwPrior({
        ...prior,
        covariance,
        mean: f64('priorMean', d),
        psi: f64('psi', size),
        ...(tensors.alike && { alike: take(tensors, 'alike', 'uint8', d) }),
        ...kinds,
      }),
      net: netFrom(unprefixed(tensors, 'net'), adam[0]),
      subs: netFrom(unprefixed(tensors, 'subs'), adam[1]),
      merged: merged.length ? splitEvenly(merged, merged.length / p) : [],
      parts: Array.from({ length: k }, (_, c) => halves.slice(2 * c, 2 * c + 2)),
      ...(graph && {
        graph: {
          ...graph,
          labels: take(tensors, 'graphLabels', 'int32'),
          copies: copiesFrom(tensors, layout),
        },
      }),
    },
  };
}

const tensorsOf = (arrays: Record<string, TypedArray>): Tensors =>
  Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, nd(values)]));

/** Null if there are none. */
function boundsFrom(tensors: Tensors): OutlierBounds | null {
  if (!Object.keys(tensors).length) return null;
  const [low, high, least, most] = ['low', 'high', 'least', 'most'].map((name) =>
    take(tensors, name, 'float32'),
  );
  return { columns: take(tensors, 'columns', 'int32'), low, high, least, most };
}

/** Null if there is none, as in runs whose config has it. */
const savedTransform = (tensors: Tensors) => (Object.keys(tensors).length ? transformFrom(tensors) : null);

/** Null if there are none. */
const copiesFrom = (tensors: Tensors, { shards }: Layout) =>
  'copyOf' in tensors
    ? { of: take(tensors, 'copyOf', 'int32'), starts: take(tensors, 'copyStarts', 'int32', shards + 1) }
    : null;

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

function encoderParts({ hashes, input, variance, state, clusters, ...rest }: Encoding) {
  const { alternation, codes, brought } = rest;
  return {
    fields: { alternation, codes, brought },
    tensors: {
      ...tensorsOf({ hashes, factor: input.factor, shift: input.shift, variance: Float64Array.of(variance) }),
      ...tensorsOf({ params: state.params, first: state.first, second: state.second }),
      widths: nd(Int32Array.from(state.widths)),
      steps: nd(Float64Array.of(state.steps)),
      loss: optional(state.loss),
      ...(clusters && latentTensors(clusters)),
    },
  };
}

function encodingFrom(head: z.infer<typeof encoderHeader>, tensors: Tensors): Encoding {
  const { layout, epoch, alternation, codes, brought } = head;
  const { dim } = layout;
  const widths = [...take(tensors, 'widths', 'int32')];
  if (!areAutoencoderWidths(widths, dim))
    throw new RangeError(`widths ${widths.join('-')} for rows of ${dim} numbers`);
  const params = take(tensors, 'params', 'float32', netSize(netShapes(widths, 0)));
  const [first, second] = ['first', 'second'].map((name) => take(tensors, name, 'float32', params.length));
  if (![params, first, second].every((values) => values.every(Number.isFinite)))
    throw new RangeError('weights that are not finite');
  const [steps] = take(tensors, 'steps', 'float64', 1);
  if (!Number.isSafeInteger(steps) || steps < 0) throw new RangeError(`${steps} steps`);
  return {
    hashes: take(tensors, 'hashes', 'uint8', HASH_BYTES * blockCount(layout)),
    input: { factor: take(tensors, 'factor', 'float32', dim), shift: take(tensors, 'shift', 'float32', dim) },
    variance: take(tensors, 'variance', 'float64', 1)[0],
    state: { widths, params, first, second, steps, epoch, loss: take(tensors, 'loss', 'float64')[0] ?? null },
    ...{ alternation, codes, brought },
    clusters: latentClustersFrom(tensors),
  };
}

const latentTensors = ({ transform, classifier, centres, variance, labels }: LatentClusters): Tensors => ({
  ...prefixed([
    ['transform', transform],
    ['net', classifier],
  ]),
  centres: nd(centres),
  'code-variance': nd(Float64Array.of(variance)),
  labels: nd(labels),
});

function latentClustersFrom(tensors: Tensors): LatentClusters | null {
  if (!('centres' in tensors)) return null;
  return {
    transform: unprefixed(tensors, 'transform'),
    classifier: unprefixed(tensors, 'net'),
    centres: take(tensors, 'centres', 'float32'),
    variance: take(tensors, 'code-variance', 'float64', 1)[0],
    labels: take(tensors, 'labels', 'int32'),
  };
}

/** The file is corrupt, or is not a checkpoint. */
export class DamagedCheckpoint extends Error {}

/** Bytes of the format and number of frames; the magic precedes them, and 4 bytes for the length of each frame follow. */
const FIXED_BYTES = 8;
/** SHA-256 of everything before it. */
const CHECKSUM_BYTES = 32;
/** Bytes that are hashed without yielding. */
const HASHED_AT_ONCE = 1 << 20;

/** The parts of the file, in order. */
export async function sealed(frames: Uint8Array[]): Promise<Uint8Array[]> {
  const start = MAGIC.length + FIXED_BYTES;
  const head = Buffer.alloc(start + 4 * frames.length);
  MAGIC.copy(head);
  head.writeUInt32LE(FORMAT, MAGIC.length);
  head.writeUInt32LE(frames.length, MAGIC.length + 4);
  frames.forEach((frame, i) => {
    head.writeUInt32LE(frame.byteLength, start + 4 * i);
  });
  const parts = [head, ...frames];
  if (parts.reduce((sum, part) => sum + part.byteLength, CHECKSUM_BYTES) > MAX_MESSAGE)
    throw new Error('the state of the run is larger than a checkpoint can be');
  const checksum = createHash('sha256');
  for (const part of parts)
    for (const { from, to } of ranges(part.byteLength, HASHED_AT_ONCE)) {
      await yieldToEventLoop();
      checksum.update(part.subarray(from, to));
    }
  return [...parts, checksum.digest()];
}

/** The frames of a file, which are taken apart when they are asked for. Throws DamagedCheckpoint. */
export function unsealed(bytes: Buffer): () => Buffer[] {
  const end = bytes.length - CHECKSUM_BYTES;
  const magic = bytes.subarray(0, MAGIC.length);
  if (end < MAGIC.length + FIXED_BYTES || !magic.equals(MAGIC))
    throw new DamagedCheckpoint('it is not a checkpoint');
  const checksum = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!checksum.equals(bytes.subarray(end))) throw new DamagedCheckpoint('its checksum does not match');
  const format = bytes.readUInt32LE(MAGIC.length);
  if (format !== FORMAT)
    throw new DamagedCheckpoint(`it has format ${format}, this dpmesh reads format ${FORMAT}`);
  return () => framesOf(bytes.subarray(0, end));
}

function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  const count = bytes.readUInt32LE(MAGIC.length + 4);
  const start = MAGIC.length + FIXED_BYTES;
  let at = start + 4 * count;
  for (let i = 0; i < count; i++) {
    const length = bytes.readUInt32LE(start + 4 * i);
    frames.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw new RangeError(`${at} bytes expected, ${bytes.length} present`);
  return frames;
}
