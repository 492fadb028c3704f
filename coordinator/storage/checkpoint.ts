import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { HASH_BYTES } from '../../data/blocks.ts';
import { concat, splitEvenly } from '../../model/arrays.ts';
import { blockCount, type Layout } from '../../model/layout.ts';
import { type Net, netShapes, netSize, unflatten } from '../../model/net.ts';
import { END_REASONS, type EndReason } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { COVARIANCES, statisticsLength } from '../../model/statistics.ts';
import { decode, encode, MAX_MESSAGE, prefixed, unprefixed } from '../../proto/codec.ts';
import { layout } from '../../proto/messages.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { RunConfig } from '../config.ts';
import type { Found } from '../training/moments.ts';
import { netStates } from '../training/net-states.ts';

/** What a run has cost, in all of its sessions. */
export interface Spent {
  seconds: number;
  rounds: number;
  rowsRead: number;
  /** The most at one time. */
  workers: number;
}

/** All that a run needs to go on. Every number comes back bit by bit. */
export interface Checkpoint {
  /** With absolute paths, as in run.json. */
  config: Partial<RunConfig>;
  /** Numeric identity of the run's workers. */
  identity: string;
  layout: Layout;
  found: Found;
  state: State;
  /** Of the clustering net in the last epoch that trained it. */
  loss: number | null;
  /** Why training has ended, so that only the full pass is left; null: it has not. */
  ended: EndReason | null;
  spent: Spent;
}

/** The file is not what was once written, or never was a checkpoint. */
export class DamagedCheckpoint extends Error {}
/** The file is whole, but of a dpmesh that writes another format. */
export class NewerCheckpoint extends Error {}

const MAGIC = Buffer.from('DPMESHCK');
/** Raised with every change that an older dpmesh would misread. */
const VERSION = 1;
/** Magic, version, number of frames; 4 bytes for the length of each frame follow. */
const FIXED = MAGIC.length + 8;
/** Of what comes before it, in every version: so damage can be told from another version. */
const SUM = 32;

const count = z.int().check(z.nonnegative());
const header = z.object({
  config: z.record(z.string(), z.json()),
  identity: z.string(),
  layout,
  ended: z.nullable(z.enum(END_REASONS)),
  epoch: count,
  frozen: count,
  steps: z.array(z.object({ kind: z.enum(['split', 'merge']), changed: count, k: count })),
  k: z.int().check(z.positive()),
  d: z.int().check(z.positive()),
  covariance: z.enum(COVARIANCES),
  /** Steps that Adam has taken, of the clustering net and of the sub-nets. */
  adam: z.tuple([count, count]),
  spent: z.object({ seconds: z.number(), rounds: count, rowsRead: count, workers: count }),
});

/** The parts of a checkpoint file, in order: magic, version, lengths, the frames of a message (proto/codec.ts), SHA-256. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array[] {
  const { config, identity, found, state, loss, ended, spent } = checkpoint;
  const { epoch, frozen, steps, mixture, net, subs, parts } = state;
  const { moments } = found;
  const frames = encode(
    {
      config,
      identity,
      layout: checkpoint.layout,
      ended,
      epoch,
      frozen,
      steps,
      k: mixture.k,
      d: mixture.d,
      covariance: mixture.covariance,
      adam: [net.steps, subs.steps],
      spent,
    },
    {
      // An array, as it may be NaN, which a header cannot hold.
      loss: nd(Float64Array.from(loss === null ? [] : [loss])),
      weights: nd(mixture.weights),
      means: nd(concat(mixture.means, Float64Array)),
      covariances: nd(concat(mixture.covariances, Float64Array)),
      parts: nd(concat(parts.flat(), Float64Array)),
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
      ]),
      sampleRows: nd(Float64Array.from(found.sampleRows)),
      hashes: nd(found.hashes),
    },
    MAX_MESSAGE,
  );
  // What could not be read again must not take the place of what can.
  decode(header, frames);
  const head = Buffer.alloc(FIXED + 4 * frames.length);
  MAGIC.copy(head);
  head.writeUInt32LE(VERSION, MAGIC.length);
  head.writeUInt32LE(frames.length, MAGIC.length + 4);
  frames.forEach((frame, i) => {
    head.writeUInt32LE(frame.byteLength, FIXED + 4 * i);
  });
  const parted = [head, ...frames];
  if (parted.reduce((sum, part) => sum + part.byteLength, 0) > MAX_MESSAGE)
    throw new Error('the state of the run is larger than a checkpoint can be');
  const sum = createHash('sha256');
  for (const part of parted) sum.update(part);
  return [...parted, sum.digest()];
}

/** The reverse, or a DamagedCheckpoint or NewerCheckpoint. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  const end = bytes.length - SUM;
  if (end < FIXED || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new DamagedCheckpoint('it is not a checkpoint');
  const sum = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!sum.equals(bytes.subarray(end))) throw new DamagedCheckpoint('its checksum does not match');
  const version = bytes.readUInt32LE(MAGIC.length);
  if (version !== VERSION)
    throw new NewerCheckpoint(`it has format ${version}, this dpmesh reads ${VERSION}`);
  try {
    return fromFrames(framesOf(bytes.subarray(0, end)));
  } catch (error) {
    throw new DamagedCheckpoint(`it does not fit together (${(error as Error).message})`);
  }
}

function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  const count = bytes.readUInt32LE(MAGIC.length + 4);
  let at = FIXED + 4 * count;
  for (let i = 0; i < count; i++) {
    const length = bytes.readUInt32LE(FIXED + 4 * i);
    frames.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw new RangeError(`${at} bytes announced, ${bytes.length} found`);
  return frames;
}

function fromFrames(frames: Buffer[]): Checkpoint {
  const { header: head, tensors } = decode(header, frames);
  const { config, identity, layout, ended, epoch, frozen, steps, k, d, covariance, adam, spent } = head;
  const moments = unprefixed(tensors, 'moments');
  const f64 = (name: string, length?: number) => take(tensors, name, 'float64', length);
  const moment = (name: string) => take(moments, name, 'float64');
  const loss = f64('loss');
  const p = statisticsLength(d, covariance);
  /** Of a covariance matrix. */
  const size = covariance === 'full' ? d * d : d;
  const halves = splitEvenly(f64('parts', 2 * k * p), 2 * k);
  return {
    config: config as Partial<RunConfig>,
    identity,
    layout,
    ended,
    spent,
    loss: loss.length ? loss[0] : null,
    found: {
      sampleRows: [...f64('sampleRows', layout.shards)],
      hashes: take(tensors, 'hashes', 'uint8', HASH_BYTES * blockCount(layout)),
      moments: {
        rows: layout.rows,
        mean: moment('mean'),
        covariance: moment('covariance'),
        min: moment('min'),
        max: moment('max'),
      },
    },
    state: {
      epoch,
      frozen,
      steps,
      mixture: {
        k,
        d,
        covariance,
        weights: f64('weights', k),
        means: splitEvenly(f64('means', k * d), k),
        covariances: splitEvenly(f64('covariances', k * size), k),
      },
      net: netFrom(unprefixed(tensors, 'net'), adam[0]),
      subs: netFrom(unprefixed(tensors, 'subs'), adam[1]),
      parts: Array.from({ length: k }, (_, c) => halves.slice(2 * c, 2 * c + 2)),
    },
  };
}

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

/** One hash for all blocks' hashes: the data's fingerprint. */
export function fingerprint(hashes: Uint8Array): string {
  return createHash('sha256').update(hashes).digest('hex').slice(0, 32);
}
