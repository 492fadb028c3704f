import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { openFile, sha256InSlices, WriteError } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { HASH_BYTES } from '../../data/blocks.ts';
import { openSource } from '../../data/open.ts';
import type { Source } from '../../data/source.ts';
import type { ColumnMap, Moments } from '../../data/transform.ts';
import type { Layout } from '../../model/layout.ts';
import { diagonalOf } from '../../model/linalg.ts';
import { autoencoderWidths, initialAutoencoder } from '../../model/nets/autoencoder.ts';
import { nd } from '../../proto/tensors.ts';
import type { Emit } from '../../view/events.ts';
import type { Alternation } from '../../view/summary.ts';
import type { RunConfig } from '../config.ts';
import type { EarlyFinish } from '../early-finish.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Server } from '../scheduler/server.ts';
import type { RunTotals } from '../storage/checkpoint.ts';
import { type EncoderCheckpoint, readEncoder, saveEncoder } from '../storage/encoder-checkpoint.ts';
import type { RunDirectory } from '../storage/run-directory.ts';
import { columnsOf } from '../training/preparation/likelihood.ts';
import type { DataMoments } from '../training/reading/moments.ts';
import type { CodeClusters } from './code-clusters.ts';
import { CODES, encodeAll } from './encode-all.ts';
import { checkEncoder, latentOf } from './limits.ts';
import { type EncoderState, encoderEpoch, encoderShards, passesOf } from './train-encoder.ts';

/** Features that were learned: what is clustered in place of the rows. */
export interface EncodedRows {
  /** The codes, one for each row. */
  codes: Source;
  /** Of the codes: that of the rows with another number of columns. */
  layout: Layout;
  checkpoint: EncoderCheckpoint;
  /** Nothing had to be computed: what was clustered before are these codes. */
  wasThere: boolean;
  /** Its encoder was asked to end early. */
  wasAsked: boolean;
  /** The totals of the sessions before this one, as far as its encoder was saved. */
  before: RunTotals | null;
}

interface EncoderInput {
  config: RunConfig;
  layout: Layout;
  server: Pick<Server, 'traffic' | 'usage'>;
  out: RunDirectory;
  emit: Emit;
  warn: (message: string) => void;
  dispatcher: Dispatcher;
  /** Columns are the pixels of images. */
  arePixels: boolean;
  earlyFinish: EarlyFinish;
  /** An encoder that was saved learns no more. */
  finishesAtOnce: boolean;
  /** Reads all rows once. UserError as `assertOfRun`. */
  moments(): Promise<DataMoments>;
  /** UserError if the rows with these hashes are not those of the run that is resumed. */
  assertOfRun(hashes: Uint8Array): void;
  /** The totals of the sessions before this one, if that is known already, and those of all, given these. */
  before: RunTotals | null;
  totals(before: RunTotals | null): RunTotals;
  /** From now on workers compute on the rows themselves, in this layout. */
  serve(layout: Layout): void;
  /** Called before there are new codes: checkpoints of clusters are of no use any more. */
  forget(): Promise<void>;
  /** Makes the run directory, once there are hashes of the rows and a numeric identity. */
  create(hashes: Uint8Array): Promise<void>;
  /** Maximum seconds between checkpoints. */
  checkpointEvery: number;
}

/**
 * Trains the encoder, from its checkpoint if there is one, and encodes all rows, if that has not been done yet. Its rounds read
 * the rows from the source: no worker holds more than some of them. `next`: the alternation that begins.
 */
export async function encodedRows(
  given: EncoderInput,
  next: EncoderCheckpoint | null = null,
): Promise<EncodedRows> {
  const { config, layout, dispatcher, out, warn } = given;
  const latent = latentOf(config, layout.dim);
  const widths = autoencoderWidths(layout.dim, config.encoderHidden, latent);
  if (!next) checkEncoder(config, widths, warn);
  const saved = next ?? (out.isOpen() ? readEncoder(out.path, widths, layout, warn) : null);
  const input = { ...given, before: given.before ?? (next ? null : (saved?.spent ?? null)) };
  const path = join(out.path, CODES);
  const wasThere = !!saved?.codes && existsSync(path) && (await hashOf(path)) === saved.codes;
  if (saved) input.assertOfRun(saved.hashes);
  if (next) await save(input, next);
  let checkpoint = saved ?? (await begin(input, widths));
  let wasAsked = false;
  if (!wasThere) {
    await input.forget();
    const inTraining = { ...layout, shards: encoderShards(layout) };
    if (next || inTraining.shards !== layout.shards) input.serve(inTraining);
    const { factor, shift } = checkpoint.input;
    dispatcher.publish('encoder-input', { factor: nd(factor), shift: nd(shift) });
    const { hashes } = checkpoint;
    dispatcher.publish('hashes', { blocks: nd(hashes, hashes.length / HASH_BYTES, HASH_BYTES) });
    input.earlyFinish.enter('encoder');
    if (saved && input.finishesAtOnce) input.earlyFinish.ask();
    checkpoint = await trained({ ...input, layout: inTraining }, checkpoint);
    wasAsked = input.earlyFinish.asked().aborted;
    input.earlyFinish.enter('preparing');
    await encodeAll(dispatcher, inTraining, checkpoint.state, out);
    checkpoint = { ...checkpoint, codes: out.hashes()[CODES] };
    await save(input, checkpoint);
  }
  return {
    codes: await openSource(path),
    layout: { ...layout, dim: latent },
    checkpoint,
    wasThere,
    wasAsked,
    before: input.before,
  };
}

async function hashOf(path: string): Promise<string> {
  const { fd } = openFile(path, { canBeEmpty: true });
  try {
    return await sha256InSlices(fd);
  } finally {
    closeSync(fd);
  }
}

/** The alternation after this encoder's, which learns from the clusters of its codes. */
export const nextAlternation = (
  checkpoint: EncoderCheckpoint,
  clusters: CodeClusters,
  brought: Alternation[],
): EncoderCheckpoint => ({
  ...checkpoint,
  // The gradient has another size now.
  state: { ...checkpoint.state, ...fresh(checkpoint.state.params.length) },
  alternation: checkpoint.alternation + 1,
  codes: null,
  clusters,
  brought,
});

/** Training that has not begun. */
const fresh = (size: number) => ({
  first: new Float32Array(size),
  second: new Float32Array(size),
  ...{ steps: 0, epoch: 0, loss: null },
});

async function begin(
  { config, layout, moments, create, arePixels, totals }: EncoderInput,
  widths: number[],
): Promise<EncoderCheckpoint> {
  const data = await moments();
  const { input, variance } = inputOf(data.moments, arePixels);
  if (!variance)
    throw new UserError(`${config.data}: all ${layout.rows} rows are equal; use data with different rows`);
  await create(data.hashes);
  const { params } = initialAutoencoder(config.seed, widths);
  return {
    ...{ layout, hashes: data.hashes, input, variance },
    state: { widths, params, ...fresh(params.length) },
    ...{ alternation: 0, codes: null, clusters: null, brought: [] },
    spent: totals(null),
  };
}

/**
 * Rows are centred and divided by one number, so that their columns have variance 1 on average: an image's border matters less than
 * its middle. Columns in unlike units are first divided by their standard deviations.
 */
function inputOf(moments: Moments, arePixels: boolean): { input: ColumnMap; variance: number } {
  const { map, kept, columns } = columnsOf(moments, arePixels);
  const own = diagonalOf(moments.covariance, moments.mean.length);
  const sum = kept.reduce((total, j) => total + own[j] * columns.factor[j] ** 2, 0);
  const by = 1 / Math.sqrt(sum / kept.length);
  return {
    input: { factor: map.factor.map((f) => f * by), shift: map.shift.map((s) => s * by) },
    variance: kept.length,
  };
}

/** The rest of the epochs, or, once the user asks for an end, none after the current one. */
async function trained(input: EncoderInput, start: EncoderCheckpoint): Promise<EncoderCheckpoint> {
  const { config, layout, dispatcher, server, emit, checkpointEvery, earlyFinish } = input;
  const { variance, clusters, alternation } = start;
  const { epochs } = passesOf(config, alternation);
  let checkpoint = start;
  let savedAt = performance.now();
  server.usage();
  const asked = earlyFinish.asked();
  const isEnough = ({ epoch }: EncoderState) => epoch >= epochs || (asked.aborted && epoch > 0);
  while (!isEnough(checkpoint.state)) {
    const startedAt = performance.now();
    const before = server.traffic();
    const training = { config, layout, dispatcher, variance, clusters };
    const state = await encoderEpoch(training, checkpoint.state, alternation);
    const after = server.traffic();
    const { tasks, workers } = server.usage();
    emit({
      ...{ type: 'encoder-epoch', epoch: state.epoch, of: epochs, loss: state.loss! },
      ...{ wall: (performance.now() - startedAt) / 1000, seconds: tasks, workers },
      bytes: after.sent - before.sent + after.received - before.received,
    });
    checkpoint = { ...checkpoint, state };
    if (!isEnough(state) && performance.now() - savedAt < checkpointEvery * 1000) continue;
    savedAt = performance.now();
    await save(input, checkpoint);
  }
  return checkpoint;
}

/** What cannot be saved ends no training. */
async function save(input: EncoderInput, checkpoint: EncoderCheckpoint): Promise<void> {
  const { out, warn, totals, before } = input;
  await saveEncoder(out.path, { ...checkpoint, spent: totals(before) }, out.assertThere).catch((error) => {
    out.assertThere();
    if (!(error instanceof WriteError)) throw error;
    const { epoch } = checkpoint.state;
    warn(`the encoder of epoch ${epoch} cannot be saved: ${error.reason}; training continues`);
  });
}
