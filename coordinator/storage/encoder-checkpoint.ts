import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { makeFolder, readWhole, writeFile } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { HASH_BYTES } from '../../data/blocks.ts';
import type { ColumnMap } from '../../data/transform.ts';
import { blockCount, type Layout } from '../../model/layout.ts';
import { areAutoencoderWidths, decoderNet } from '../../model/nets/autoencoder.ts';
import { layersOf, logits, netShapes, netSize } from '../../model/nets/net.ts';
import { decode, encode, MAX_MESSAGE, prefixed, unprefixed } from '../../proto/codec.ts';
import { layout } from '../../proto/messages.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Alternation } from '../../view/summary.ts';
import type { CodeClusters } from '../encoder/code-clusters.ts';
import type { EncoderState } from '../encoder/train-encoder.ts';
import { type RunTotals, totals } from './checkpoint.ts';
import { DamagedCheckpoint, NewerCheckpoint, otherVersion, sealed, unsealed } from './sealed-file.ts';

/** All that is needed to go on with the training of an encoder. Every number is restored bit for bit. */
export interface EncoderCheckpoint {
  /** Of the raw rows. */
  layout: Layout;
  /** Of the blocks of the raw rows, in the order of the file. */
  hashes: Uint8Array;
  /** What is done to raw rows before the encoder. */
  input: ColumnMap;
  /** Sum of the variances of the encoder's inputs. */
  variance: number;
  state: EncoderState;
  /** 0: before the first clustering. */
  alternation: number;
  /** SHA-256 of `codes.npy`, if it has the codes of this encoder, whose training is complete; else null. */
  codes: string | null;
  /** Those that it learns from; null before the first clustering. */
  clusters: CodeClusters | null;
  /** What the clusterings before found. */
  brought: Alternation[];
  /** Until it was saved. */
  spent: RunTotals;
}

const MAGIC = Buffer.from('DPMESHEN');
/** Incremented with every change that an older dpmesh would misread. */
const VERSION = 4;
const FILE = 'encoder.ckpt';

const count = z.int().check(z.nonnegative());
const header = z.object({
  layout,
  epoch: count,
  alternation: count,
  codes: z.nullable(z.string()),
  brought: z.array(z.object({ k: count, agreement: z.nullable(z.number()) })),
  spent: totals,
});

/** The file in a run directory. */
export const encoderFile = (run: string) => join(run, 'checkpoints', FILE);

/** Writes the checkpoint durably in place of the last one. Rejects with a WriteError. `assertThere`: see RunDirectory. */
export async function saveEncoder(
  run: string,
  checkpoint: EncoderCheckpoint,
  assertThere: () => void,
): Promise<number> {
  const { layout, hashes, input, variance, state, clusters, ...rest } = checkpoint;
  const { alternation, codes, brought, spent } = rest;
  const frames = encode(
    { layout, epoch: state.epoch, alternation, codes, brought, spent },
    {
      hashes: nd(hashes),
      factor: nd(input.factor),
      shift: nd(input.shift),
      variance: nd(Float64Array.of(variance)),
      widths: nd(Int32Array.from(state.widths)),
      params: nd(state.params),
      first: nd(state.first),
      second: nd(state.second),
      steps: nd(Float64Array.of(state.steps)),
      loss: nd(Float64Array.from(state.loss === null ? [] : [state.loss])),
      ...(clusters && clusterTensors(clusters)),
    },
    MAX_MESSAGE,
  );
  const parts = await sealed(MAGIC, VERSION, frames);
  assertThere();
  makeFolder(join(run, 'checkpoints'));
  return writeFile(encoderFile(run), parts, { before: assertThere });
}

/**
 * The checkpoint of a run directory; null if there is none, or it is damaged, after a warning. UserError if it is of another
 * format, or not of this config and these rows.
 */
export function readEncoder(
  run: string,
  widths: readonly number[],
  rows: Layout,
  warn: (message: string) => void,
): EncoderCheckpoint | null {
  const path = encoderFile(run);
  if (!existsSync(path)) return null;
  try {
    const found = read(run);
    const isSame =
      JSON.stringify(found.layout) === JSON.stringify(rows) && found.state.widths.join() === widths.join();
    if (!isSame)
      throw new UserError(
        `${path} is of an encoder ${found.state.widths.join('-')} of other rows or other options than this run: move it elsewhere, or start a new run`,
      );
    return found;
  } catch (error) {
    if (error instanceof NewerCheckpoint) throw otherVersion(path, error);
    if (!(error instanceof DamagedCheckpoint)) throw error;
    warn(`${path} cannot be used: ${error.message}; the encoder is trained again`);
    return null;
  }
}

/** A function from codes to raw rows by the decoder of a run directory; null if its file is missing, damaged, or of another format. */
export function savedDecoder(run: string): ((codes: Float32Array) => Float32Array) | null {
  try {
    const { input, state } = read(run);
    const layers = layersOf(decoderNet(state));
    const { factor, shift } = input;
    return (codes) =>
      logits(layers, codes).map((value, i) => {
        const j = i % factor.length;
        return factor[j] ? (value - shift[j]) / factor[j] : 0;
      });
  } catch (error) {
    const kinds = [UserError, DamagedCheckpoint, NewerCheckpoint];
    if (kinds.some((kind) => error instanceof kind)) return null;
    throw error;
  }
}

const clusterTensors = ({ transform, net, centres, variance, labels }: CodeClusters): Tensors => ({
  ...prefixed([
    ['transform', transform],
    ['net', net],
  ]),
  centres: nd(centres),
  'code-variance': nd(Float64Array.of(variance)),
  labels: nd(labels),
});

function clustersFrom(tensors: Tensors): CodeClusters | null {
  if (!('centres' in tensors)) return null;
  return {
    transform: unprefixed(tensors, 'transform'),
    net: unprefixed(tensors, 'net'),
    centres: take(tensors, 'centres', 'float32'),
    variance: take(tensors, 'code-variance', 'float64', 1)[0],
    labels: take(tensors, 'labels', 'int32'),
  };
}

/** Throws DamagedCheckpoint, NewerCheckpoint, or a UserError. */
const read = (run: string): EncoderCheckpoint =>
  unsealed(MAGIC, VERSION, readWhole(encoderFile(run), MAX_MESSAGE, { within: run }), fromFrames);

function fromFrames(frames: Buffer[]): EncoderCheckpoint {
  const { header: head, tensors } = decode(header, frames);
  const widths = [...take(tensors, 'widths', 'int32')];
  const { dim } = head.layout;
  if (!areAutoencoderWidths(widths, dim))
    throw new RangeError(`widths ${widths.join('-')} for rows of ${dim} numbers`);
  const params = take(tensors, 'params', 'float32', netSize(netShapes(widths, 0)));
  const [first, second] = ['first', 'second'].map((name) => take(tensors, name, 'float32', params.length));
  if (![params, first, second].every((values) => values.every(Number.isFinite)))
    throw new RangeError('weights that are not finite');
  const [steps] = take(tensors, 'steps', 'float64', 1);
  if (!Number.isSafeInteger(steps) || steps < 0) throw new RangeError(`${steps} steps`);
  return {
    layout: head.layout,
    hashes: take(tensors, 'hashes', 'uint8', HASH_BYTES * blockCount(head.layout)),
    input: { factor: take(tensors, 'factor', 'float32', dim), shift: take(tensors, 'shift', 'float32', dim) },
    variance: take(tensors, 'variance', 'float64', 1)[0],
    state: {
      widths,
      params,
      first,
      second,
      steps,
      epoch: head.epoch,
      loss: take(tensors, 'loss', 'float64')[0] ?? null,
    },
    alternation: head.alternation,
    codes: head.codes,
    clusters: clustersFrom(tensors),
    brought: head.brought,
    spent: head.spent,
  };
}
