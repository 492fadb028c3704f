import { UserError } from '../../../base/user-error.ts';
import { fingerprint } from '../../../data/blocks.ts';
import { sampledColumns } from '../../../data/logarithm.ts';
import type { Source } from '../../../data/source.ts';
import { MAX_MAGNITUDE } from '../../../model/arrays.ts';
import { atomOf, gridStep } from '../../../model/grid.ts';
import { block, type Layout, mostShards } from '../../../model/layout.ts';
import type { State } from '../../../model/state.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import { runFile } from '../../../run/run-file.ts';
import { showFolder } from '../label-parts.ts';
import { sampleThreshold } from '../preparation/limits.ts';
import type { PrepareInput } from '../preparation/prepare.ts';
import { publishTransform } from '../publish.ts';
import { FEW_COLUMNS, isGraph, momentsRound } from '../reading/moments.ts';
import {
  isInParts,
  type MetadataPorts,
  metadataOf,
  type Ports,
  type RunStage,
  type RunState,
} from '../run-state.ts';
import { startMap } from './map.ts';

/**
 * Reads all rows that are clustered, unless a checkpoint has what that finds, and prepares training: likelihood, transform and prior
 * are decided, and the run directory is there.
 */
export function readStage(
  context: MetadataPorts &
    Ports<
      | 'check'
      | 'checkpoints'
      | 'dispatcher'
      | 'emit'
      | 'observer'
      | 'out'
      | 'reading'
      | 'resume'
      | 'trainer'
      | 'warn'
    >,
): RunStage {
  const { config, out, trainer, dispatcher, emit, resume, observer } = context;
  let isFirst = true;
  return {
    name: 'read',
    ended: ({ run }) => (run ? 'done' : null),
    async step(state) {
      const { source, layout, encoding, clusters } = state;
      const isRead = state.data !== null;
      const sample = sampleThreshold(config, layout);
      const data =
        state.data ??
        (await trainer.setOutliersApart({ config, layout, sample }, await firstReading(context, state)));
      if (!encoding) assertUnchanged(context, data.hashes);
      const about = await aboutColumns(config, source, encoding ? null : source);
      // A run that continues from a checkpoint has emitted these warnings before.
      const request = { config, layout, ...about, isQuiet: isRead };
      const known = clusters && (clusters.graph ? 'graph' : 'gaussian');
      const run = await trainer.prepare(request, data, known);
      // Workers opened it by its path, each when it joined: some may have read another file than others.
      if (!isRead) await source.assertSameFile?.();
      const sampled = data.sampleRows.reduce((a, b) => a + b, 0);
      observer?.prepared(run, sampled);
      const next = { ...state, data, run, map: startMap(context, source, run.transform) };
      const metadata = metadataOf(context, next, encoding?.hashes ?? data.hashes);
      await out.create(runFile(metadata, null));
      if (isInParts(context)) await showFolder(context);
      // Made before there were latent vectors, the file does not describe them yet.
      if (encoding) out.json('run.json', runFile(metadata, null));
      if (isFirst) {
        announce(context, clusters, clusters?.mixture.k ?? run.likelihood.initK, sampled);
        sayWhoTrains(context, layout);
      }
      isFirst = false;
      const { why } = run;
      if (!isRead && why !== null) emit({ type: 'likelihood', likelihood: run.likelihood.name, why });
      if (clusters && resume?.from) {
        goOn(context, clusters);
        const { below } = clusters.sample;
        const copies = clusters.graph?.copies;
        if (copies || below !== run.sample.below)
          publishTransform({ dispatcher, transform: run.transform }, below, copies);
      }
      return next;
    },
  };
}

/** Says that the run begins with K clusters, or goes on with `clusters`. */
export function announce(
  { resume, emit, layout: { rows, dim, shards } }: Ports<'emit' | 'layout' | 'resume'>,
  clusters: State | null,
  k: number,
  sample: number,
): void {
  const from = (clusters && resume?.from?.path) ?? null;
  if (resume) emit({ type: 'resume', epoch: clusters?.epoch ?? 0, k, from });
  else emit({ type: 'start', rows, dim, sample, shards });
}

/** Says so where there are more workers than can train. */
function sayWhoTrains(
  { config, server, warn }: Ports<'config' | 'server' | 'warn'>,
  { shards }: Layout,
): void {
  const all = server.members().reduce((sum, { state, size }) => sum + (state === 'up' ? size : 0), 0);
  if (all > mostShards(config.shards))
    warn(
      `all ${all} workers read and label rows, but clusters are trained by at most ${shards}, one for each shard; --shards ${2 ** Math.ceil(Math.log2(all))} would let all of them train, with another result`,
    );
}

/** Shows the clusters of a checkpoint, which is saved. */
export function goOn(
  { resume, checkpoints, observer }: Ports<'checkpoints' | 'observer' | 'resume'>,
  clusters: State,
): void {
  // At once: what was computed before may be in another folder, and a kill must leave it in this one too.
  if (resume?.from && !checkpoints.saved()) checkpoints.offer(resume.from.checkpoint, true);
  observer?.state(clusters);
}

/** What columns are, and what is found of them in `rows`, null for latent vectors. */
export async function aboutColumns(
  config: RunConfig,
  source: Source,
  rows: Source | null,
): Promise<Omit<PrepareInput, 'config' | 'layout'>> {
  const isFew = rows && rows.dim <= FEW_COLUMNS && !isGraph(config, rows.dim);
  const found = isFew ? await exactValues(rows) : null;
  const about = { categories: dummiesOf(source), arePixels: arePixels(source) };
  return { names: source.names ?? null, ...about, ...found };
}

/** The columns of each column of categories, which follow the others. */
function dummiesOf({ dim, table }: Source): Map<string, number[]> {
  const categories = Object.entries(table?.categories ?? {});
  let first = dim - categories.reduce((sum, [, { length }]) => sum + length - 1, 0);
  return new Map(
    categories.map(([name, { length }]) => [name, Array.from({ length: length - 1 }, () => first++)]),
  );
}

/** The relative rounding error of numbers of 16 bits. */
const FLOAT16 = 2 ** -11;

/** The exact values of columns: the step of the grid that each is on, 0 for none; and those that a share of the rows has. */
async function exactValues(source: Source): Promise<Pick<PrepareInput, 'grid' | 'atoms' | 'drawn'>> {
  const sampled = await sampledColumns(source);
  const error = source.dtype === 'float16' ? FLOAT16 : 0;
  const grid = Float32Array.from(sampled, (values) => gridStep(values, error));
  const atoms = sampled.flatMap((values, column) => {
    const atom = grid[column] > 0 ? null : atomOf(values);
    return atom ? [{ column, ...atom }] : [];
  });
  const { dim } = source;
  const drawn = Float32Array.from(
    { length: sampled[0].length * dim },
    (_, p) => sampled[p % dim][Math.floor(p / dim)],
  );
  return { grid: grid.some((step) => step > 0) ? grid : null, atoms, drawn };
}

/** Are rows images of bytes? Arrays of other numbers may be anything, such as what several sensors measure over time. */
export const arePixels = ({ shape, dtype }: Source) => shape !== undefined && dtype === 'uint8';

/** UserError if the rows with these hashes are not those of the run that is resumed. */
export function assertUnchanged({ config, resume }: Ports<'config' | 'resume'>, hashes: Uint8Array): void {
  if (resume && fingerprint(hashes) !== resume.fingerprint)
    throw new UserError(
      `${config.data} has changed since the run began; restore the old file, or start a new run`,
    );
}

/** Reads all rows for the first time: the moments round. */
export async function firstReading(
  { config, reading, source: raw, check }: Ports<'check' | 'config' | 'reading' | 'source'>,
  { source, layout }: Pick<RunState, 'source' | 'layout'>,
  sample = sampleThreshold(config, layout),
): Promise<DataMoments> {
  const firstBlock = await source.read(0, block(layout, 0).count);
  const origin = Float64Array.from(firstBlock.subarray(0, layout.dim), (value) =>
    Math.abs(value) <= MAX_MAGNITUDE ? value : 0,
  );
  if (source === raw) check?.begin();
  return momentsRound(reading, { config, layout, origin, sample });
}
