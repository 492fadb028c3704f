import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { ranges } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { blockHash, fingerprint, isHashOf } from '../data/blocks.ts';
import { imageShape, imageUri } from '../data/images/folder.ts';
import type { Labels } from '../data/label-spec.ts';
import type { OpenOptions, OpenSource } from '../data/open-options.ts';
import { readSpans } from '../data/remote/read-ahead.ts';
import { CODES, LABELS } from '../data/row-parts.ts';
import type { Source } from '../data/source.ts';
import { fromRaw, type Transform } from '../data/transform.ts';
import { block, blockCount, type Layout, shardsFor } from '../model/layout.ts';
import { NOISE } from '../model/order.ts';
import { generator, shuffledPrefix } from '../model/random.ts';
import type { ClusterCheckpoint } from '../run/checkpoint.ts';
import { tableOptions } from '../run/config.ts';
import { readImageList } from '../run/row-files.ts';
import type { RunFile } from '../run/run-file.ts';
import { numberOfLabel, openRows, runFiles } from '../run/run-files.ts';
import type { RowContent, RowContents } from './drawing/api.ts';
import { type DisplaySample, sampledRanges, sampledRows } from './drawing/display-sample.ts';

/** Rows of the data of a run for page and report: a sample as points, single ones as people may look at them, whether they are still the same, and what their labels say. */

const MAX_ROWS = 20_000;
/** Most numbers to send. */
const MAX_VALUES = 1_000_000;
/** Most numbers to read. */
const MAX_READ = 8_000_000;

/**
 * Reads rows spread over the data and transforms them. Yields to the event loop between ranges. For display only: workers may
 * round differently.
 */
export async function readSample(
  source: Source,
  transform: Transform,
  most = MAX_ROWS,
): Promise<DisplaySample> {
  const { dim } = transform;
  const rows = Math.max(
    1,
    Math.min(source.rows, most, Math.floor(MAX_VALUES / dim), Math.floor(MAX_READ / source.dim)),
  );
  const values = new Float32Array(rows * dim);
  let at = 0;
  for await (const raw of readSpans(source, sampledRanges(rows, source.rows))) {
    values.set(fromRaw(transform, raw), at * dim);
    at += raw.length / source.dim;
    await setImmediate();
  }
  return { rows: values, dim, numbers: sampledRows(rows, source.rows) };
}

/** Most columns of a row that are shown. */
const MAX_COLUMNS = 40;

/** Rows of the data as people may look at them: the picture of an image, else the values of the first columns. */
export async function readRows(source: Source, rows: readonly number[]): Promise<RowContents> {
  const shape = imageShape(source.shape);
  const found: RowContent[] = [];
  for (const row of rows) {
    const values = await source.read(row, 1);
    const id = source.images?.[row];
    found.push({
      row,
      ...(id !== undefined && { id }),
      ...(shape
        ? { image: imageUri(values, shape, rangeOf(source.dtype, [values])) }
        : { values: Array.from(values.subarray(0, MAX_COLUMNS)) }),
    });
  }
  return { names: source.names?.slice(0, MAX_COLUMNS) ?? null, rows: found };
}

/** What is drawn black, and white: of bytes all there are, else of the numbers in these rows. */
export function rangeOf(dtype: string, rows: readonly Float32Array[]): [number, number] {
  if (dtype === 'uint8') return [0, 255];
  const low = Math.min(...rows.map((row) => row.reduce((a, b) => Math.min(a, b))));
  const high = Math.max(...rows.map((row) => row.reduce((a, b) => Math.max(a, b))));
  return low <= high ? [low, high] : [0, 1];
}

/** How its rows are read from its data. UserError if its list of images is damaged. */
export const howRead = (path: string, { data, config, files }: RunFile): OpenOptions => ({
  table: tableOptions(config, data.leftOut ?? null),
  logged: data.logged,
  images: {
    size: config.imageSize,
    skipBad: config.skipBad,
    expected: { rows: data.rows, names: readImageList(runFiles(path, files)) },
  },
});

/** The run's data, or their latent vectors; null if they cannot be read or have changed, once `problem` was told why. */
export async function openUnchanged(
  folder: string,
  { run, checkpoint }: { run: RunFile; checkpoint: ClusterCheckpoint | null },
  open: OpenSource,
  problem: (why: string) => void = () => {},
): Promise<Source | null> {
  const { codes } = run.data;
  const path = codes ? join(folder, CODES) : run.config.data;
  const columns = codes?.dim ?? run.data.dim;
  let source: Source | null = null;
  try {
    source = await open(path, codes ? {} : howRead(folder, run));
    const { rows, dim } = source;
    if (rows !== run.data.rows || dim !== columns)
      throw new UserError(`${path} now has ${rows} rows × ${dim}; the run had ${run.data.rows} × ${columns}`);
    if (!(await isSameRows(source, run, checkpoint)))
      throw new UserError(`${path} has changed since the run`);
    return source;
  } catch (error) {
    source?.close();
    if (!(error instanceof UserError)) throw error;
    problem(error.message);
    return null;
  }
}

/** A file of at most this many bytes is compared as a whole. */
const SMALL_BYTES = 64 << 20;
/** Most blocks of a larger file that are compared. */
const MOST_SAMPLED = 64;

/**
 * Are these the rows of the run? All of a small file are compared; of a large one, which takes longer to read than to draw,
 * some blocks, if there is a checkpoint with their hashes.
 */
async function isSameRows(
  source: Source,
  { data, config }: RunFile,
  checkpoint: ClusterCheckpoint | null,
): Promise<boolean> {
  const { rows, blockRows } = data;
  const { dim, fingerprint: expected } = data.codes ?? data;
  const layout = { rows, dim, blockRows, shards: shardsFor(config.shards, rows), seed: config.seed };
  const isSmall = 4 * rows * dim <= SMALL_BYTES;
  const all = () => Array.from({ length: blockCount(layout) }, (_, index) => index);
  // Checkpoints of an update have those of its sample.
  const compared = isSmall ? all() : checkpoint && !data.sample ? sampledBlocks(layout) : [];
  const blocks = compared.map((index) => block(layout, index));
  const hashes: Uint8Array[] = [];
  for await (const read of readSpans(source, blocks)) hashes.push(blockHash(read));
  if (isSmall) return fingerprint(Buffer.concat(hashes)) === expected;
  return hashes.every((hash, i) => isHashOf(blocks[i], hash, checkpoint!.dataSummary.hashes));
}

function sampledBlocks(layout: Layout): number[] {
  const count = blockCount(layout);
  const most = Math.min(MOST_SAMPLED, Math.ceil(Math.sqrt(count)));
  return [...shuffledPrefix(generator(layout.seed, 'data-check'), count, most)].sort((a, b) => a - b);
}

/** Rows of each cluster and class: `counts[cluster][class]`, with the names of the classes. */
export interface ContingencyTable {
  names: string[];
  counts: number[][];
}

/** Labels read at once. */
const CHUNK = 1 << 18;
/** Larger tables are not useful. */
const MOST_CELLS = 1 << 21;

/** The labels of a run of so many rows, by their ranges. */
function* labelsIn(path: string, rows: number, parts: Iterable<{ start: number; count: number }>) {
  const labels = openRows(path, LABELS, '<i4', rows);
  try {
    for (const { start, count } of parts) yield { start, labels: labels.read(start, count) };
  } finally {
    labels.close();
  }
}

/**
 * Counts a run's labels against true classes, by the clusters' numbers, rows of noise left out. Returns the reason as text if there are too many of either. `ids`: as of
 * `numberOfLabel`.
 */
export function tabulate(
  path: string,
  { codes, names }: Labels,
  ids?: readonly number[],
  hasNoise = false,
): ContingencyTable | string {
  const numberOf = numberOfLabel(ids);
  const counts: number[][] = [];
  const parts = ranges(codes.length, CHUNK).map(({ from, to }) => ({ start: from, count: to - from }));
  for (const { start, labels } of labelsIn(path, codes.length, parts))
    for (let i = 0; i < labels.length; i++) {
      const label = numberOf(labels[i]);
      if (hasNoise && labels[i] === NOISE) continue;
      if (label < 0)
        throw new UserError(
          `${join(path, LABELS)} is damaged: it has the label ${labels[i]}, which is no cluster`,
        );
      while (label >= counts.length) {
        if ((counts.length + 1) * names.length > MOST_CELLS)
          return `${label + 1} or more clusters and ${names.length} classes are too many to compare`;
        counts.push(Array<number>(names.length).fill(0));
      }
      counts[label][codes[start + i]]++;
    }
  return { names, counts };
}

/** The clusters, of `k`, −1 of noise, of a sample of `sampled` rows out of `rows`. UserError if the file is damaged. `ids`: as of `numberOfLabel`. */
export function sampledLabels(
  path: string,
  rows: number,
  sampled: number,
  k: number,
  ids?: readonly number[],
  hasNoise = false,
): Int32Array {
  const parts = [...labelsIn(path, rows, sampledRanges(sampled, rows))];
  const labels = Int32Array.from(parts.flatMap((part) => Array.from(part.labels, numberOfLabel(ids))));
  const least = hasNoise ? NOISE : 0;
  if (labels.every((label) => label >= least && label < k)) return labels;
  throw new UserError(`${join(path, LABELS)} is damaged: it has labels that are none of its ${k} clusters`);
}
