import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod/mini';
import { createAtomicFile, readFully, withFile } from '../base/files.ts';
import { list } from '../base/schema.ts';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { LABELS, MAP, OUTLIERS } from '../data/row-parts.ts';
import { outlierScore } from '../model/description/distances.ts';
import {
  type MapIndex,
  type MapRow,
  MOST_MAP_CLUSTERS,
  MOST_MAP_ROWS,
  MOST_RECORDS,
  RECORD,
  readRecord,
  WORDS,
  writeRecord,
} from '../model/map-records.ts';
import { NOISE } from '../model/order.ts';
import { priority } from '../model/random.ts';
import { NONE_OPTIONAL } from '../model/row-columns.ts';
import { readModel } from './model-file.ts';
import { assertRows, BACKGROUND, rowSlices } from './row-files.ts';
import { MOST_JSON, type RunFiles, recordedHashes, runFiles } from './run-files.ts';

/**
 * The map of all rows of a run in one file, made from `map.npy` and what else there is of each row: the length of a JSON (uint32), the JSON (`MapIndex`), and the
 * records (model/map-records.ts).
 */

/** Its path in a run directory. */
export const MAP_FILE = 'map.bin';
const LENGTH_BYTES = 4;
/** Records that are written at once. */
const SLICE = 1 << 16;
/** Rows of a cluster among which its place is, and rows by which the first picture is chosen. */
const [CLUSTER_ROWS, HOME_ROWS] = [256, 100_000];
/** Far rows on each side that the first picture may leave out, and room around the others. */
const [FAR, ROOM] = [0.001, 0.03];
/** For numbers of records. */
const NUMBER_BITS = 21;

/** A run whose rows have places on a map. */
export interface MappedRun {
  run: string;
  rows: number;
  /** Number of clusters. */
  k: number;
  /** As of `numberOfLabel`. */
  ids?: readonly number[];
}

export interface SavedMap {
  index: MapIndex;
  /** Records `from … to−1`. */
  records(from: number, to: number): Uint8Array;
  /** The records of these rows, ascending, also of those that are not in the sample. */
  rowsAt(rows: readonly number[]): Promise<Uint8Array>;
}

/** The map of a run. If it has no file, or one that is damaged or of another map, it is made; null of a run without map. UserError if files are damaged, or cannot be written. */
export async function openMap(of: MappedRun, isToBeMade = true): Promise<SavedMap | null> {
  const files = runFiles(of.run, recordedHashes(of.run));
  if (!files.has(MAP) || of.rows > MOST_MAP_ROWS || of.k >= MOST_MAP_CLUSTERS) return null;
  // That of damaged files would be shown after these are restored.
  if (isToBeMade) assertRows(files);
  const saved = savedIndex(of) ?? (isToBeMade ? await writeMap(of, files) : null);
  if (!saved) return null;
  const { index, start } = saved;
  return {
    index,
    records: (from, to) =>
      withFile(
        join(of.run, MAP_FILE),
        (file) => {
          const bytes = new Uint8Array(RECORD * (to - from));
          readFully(file, bytes, start + RECORD * from);
          return bytes;
        },
        { within: of.run },
      ),
    rowsAt: (rows) => recordsOf(of, files, index, rows),
  };
}

const count = z.int().check(z.nonnegative());
const sha = z.nullable(z.string());
const schema = z.object({
  rows: count,
  records: count,
  of: z.object({ map: sha, labels: sha }),
  box: z.object({ x: z.number(), y: z.number(), side: z.number().check(z.positive()) }),
  home: list(z.number(), z.length(4)),
  places: list(z.nullable(z.object({ rows: count, x: z.number(), y: z.number() }))),
});

function hashesOf(run: string): MapIndex['of'] {
  const hashes = recordedHashes(run);
  const of = (name: string) => (Object.hasOwn(hashes, name) ? hashes[name] : null);
  return { map: of(MAP), labels: of(LABELS) };
}

/** An index, and at which byte of the file the records start. */
interface SavedIndex {
  index: MapIndex;
  start: number;
}

/** That of the file; null unless it is of this map. */
function savedIndex({ run, rows, k }: MappedRun): SavedIndex | null {
  try {
    return withFile(
      join(run, MAP_FILE),
      (file) => {
        const read = (at: number, length: number) => {
          const bytes = Buffer.alloc(length);
          readFully(file, bytes, at);
          return bytes;
        };
        const length = read(0, LENGTH_BYTES).readUInt32LE();
        if (length > MOST_JSON) return null;
        const index = schema.parse(JSON.parse(read(LENGTH_BYTES, length).toString()));
        const start = LENGTH_BYTES + length;
        const isCurrent =
          index.rows === rows &&
          index.places.length === k &&
          isDeepStrictEqual(index.of, hashesOf(run)) &&
          file.size === start + RECORD * index.records;
        return isCurrent ? { index, start } : null;
      },
      { within: run },
    );
  } catch {
    return null;
  }
}

/** Rows slice by slice, and what the map has of each, in the coordinates of map.npy. `wanted`: as of `rowSlices`. UserError for places that are no numbers, and labels that are no clusters. */
async function* mapSlices({ run, rows, k, ids }: MappedRun, files: RunFiles, wanted?: readonly number[]) {
  const hasNoise = files.has(BACKGROUND);
  const { quantiles } = readModel(files).model.distances!;
  const has = { ...NONE_OPTIONAL, map: true, outliers: files.has(OUTLIERS) };
  for await (const slice of rowSlices(run, rows, { has, ids, wanted })) {
    const { start, labels, confidence, distance, outliers } = slice;
    const map = slice.map!;
    for (let i = 0; i < map.length; i++)
      if (!Number.isFinite(map[i])) throw files.damaged(MAP, `row ${start + (i >> 1)} has ${map[i]}`);
    const clusters = new Uint16Array(labels.length);
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i];
      const isNoise = hasNoise && label === NOISE;
      if (!isNoise && !(label >= 0 && label < k))
        throw files.damaged(LABELS, `it has the label ${label}, which is no cluster`);
      clusters[i] = isNoise ? k : label;
    }
    const rowAt = (i: number): MapRow => {
      const cluster = clusters[i];
      const isOutlier = outliers?.[i] || cluster === k;
      const outlier = isOutlier ? 1 : outlierScore(quantiles, cluster, distance[i]);
      return {
        row: start + i,
        x: map[2 * i],
        y: map[2 * i + 1],
        cluster,
        confidence: confidence[i],
        outlier,
      };
    };
    yield { start, map, clusters, rowAt };
  }
}

/** The same row in units of the side of the map, from its lower left corner. */
function placed({ x, y, side }: MapIndex['box'], row: MapRow): MapRow {
  row.x = (row.x - x) / side;
  row.y = (row.y - y) / side;
  return row;
}

async function recordsOf(of: MappedRun, files: RunFiles, { box }: MapIndex, wanted: readonly number[]) {
  const records = new DataView(new ArrayBuffer(RECORD * wanted.length));
  let next = 0;
  for await (const { start, clusters, rowAt } of mapSlices(of, files, wanted))
    for (; wanted[next] < start + clusters.length; next++)
      writeRecord(records, RECORD * next, placed(box, rowAt(wanted[next] - start)));
  return new Uint8Array(records.buffer);
}

/** Makes the file, in one pass over all rows. Memory: 28 bytes a record, however many rows there are. */
async function writeMap(of: MappedRun, files: RunFiles): Promise<SavedIndex> {
  const { run, rows, k } = of;
  const most = Math.min(rows, MOST_RECORDS);
  // By chance there are a few more or less, but more than five standard deviations only once in millions of maps.
  const below = rows > most ? (most - 5 * Math.sqrt(most)) / rows : 1;
  const priorityOf = priority(0n);
  const bytes = new ArrayBuffer(RECORD * most);
  const view = new DataView(bytes);
  // Sorted as plain numbers: the priority, below it the number of the record.
  const keys = new Float64Array(most);
  const sizes = new Float64Array(k + 1);
  let records = 0;
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for await (const { start, map, clusters, rowAt } of mapSlices(of, files))
    for (let i = 0; i < clusters.length; i++) {
      left = Math.min(left, map[2 * i]);
      right = Math.max(right, map[2 * i]);
      low = Math.min(low, map[2 * i + 1]);
      high = Math.max(high, map[2 * i + 1]);
      sizes[clusters[i]]++;
      const own = priorityOf(start + i);
      if (own >= below || records === most) continue;
      keys[records] = Math.floor(own * 2 ** (53 - NUMBER_BITS)) * 2 ** NUMBER_BITS + records;
      writeRecord(view, RECORD * records++, rowAt(i));
    }
  keys.subarray(0, records).sort();
  const order = new Uint32Array(records);
  for (let i = 0; i < records; i++) order[i] = keys[i] % 2 ** NUMBER_BITS;

  const side = Math.max(right - left, high - low) || 1;
  const box = { x: (left + right - side) / 2, y: (low + high - side) / 2, side };
  const near = Array.from(sizes, (): MapRow[] => []);
  for (const at of order) {
    const row = placed(box, readRecord(view, RECORD * at));
    writeRecord(view, RECORD * at, row);
    if (near[row.cluster].length < CLUSTER_ROWS) near[row.cluster].push(row);
  }
  const first = Array.from(order.subarray(0, HOME_ROWS), (at) => readRecord(view, RECORD * at));
  // In the order of the schema: read again, it is the same in the page.
  const index: MapIndex = {
    ...{ rows, records, of: hashesOf(run), box, home: homeOf(first) },
    places: near
      .slice(0, k)
      .map((own, cluster) => (own.length ? { rows: sizes[cluster], ...middleOf(own) } : null)),
  };
  const json = Buffer.from(JSON.stringify(index));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(json.length);
  const start = LENGTH_BYTES + json.length;

  const out = createAtomicFile(join(run, MAP_FILE));
  try {
    out.write(Buffer.concat([length, json]), 0);
    const words = new Uint32Array(bytes);
    for (const { from, to } of ranges(records, SLICE)) {
      await yieldToEventLoop();
      const sorted = new Uint32Array(WORDS.record * (to - from));
      for (let i = from; i < to; i++)
        for (let word = 0; word < WORDS.record; word++)
          sorted[WORDS.record * (i - from) + word] = words[WORDS.record * order[i] + word];
      out.write(new Uint8Array(sorted.buffer), start + RECORD * from);
    }
    out.finish();
  } catch (error) {
    out.abort();
    throw error;
  }
  return { index, start };
}

/** Where the row is that is nearest to the medians of these: of a bent cluster, they may lie outside it. */
function middleOf(rows: readonly MapRow[]): { x: number; y: number } {
  const [x, y] = (['x', 'y'] as const).map((axis) => quantiles(rows, axis, [0.5])[0]);
  const squared = rows.map((row) => (row.x - x) ** 2 + (row.y - y) ** 2);
  const nearest = rows[squared.indexOf(squared.reduce((a, b) => Math.min(a, b)))];
  return { x: nearest.x, y: nearest.y };
}

/** Left, bottom, right and top of the part of the map that all but the farthest rows are in, with some room around them. */
function homeOf(rows: readonly MapRow[]): number[] {
  const [left, right] = quantiles(rows, 'x', [FAR, 1 - FAR]);
  const [bottom, top] = quantiles(rows, 'y', [FAR, 1 - FAR]);
  const room = ROOM * Math.max(right - left, top - bottom, 1e-6);
  return [left - room, bottom - room, right + room, top + room];
}

function quantiles(rows: readonly MapRow[], axis: 'x' | 'y', parts: readonly number[]): number[] {
  const sorted = Float64Array.from(rows, (row) => row[axis]).sort();
  return parts.map((part) => sorted[Math.round(part * (sorted.length - 1))]);
}
