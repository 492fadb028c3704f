import { closeSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { createAtomicFile, makeFolder, readFully, remove, withFile, writeFile } from '../base/files.ts';
import { list } from '../base/schema.ts';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { decode, parseDtype } from '../data/arrays/dtype.ts';
import { openNpy, tuple } from '../data/npy.ts';
import { LABELS, MAP, OUTLIERS, PARTS_INDEX } from '../data/row-parts.ts';
import { outlierScore } from '../model/description/distances.ts';
import {
  AT,
  CELLS,
  DENSITY_CELLS,
  densityOf,
  FOUND,
  type MapIndex,
  MOST_MAP_CLUSTERS,
  MOST_MAP_ROWS,
  planTiles,
  RECORD,
  readRecord,
  writeFound,
  writeRecord,
} from '../model/map-tiles.ts';
import { NOISE } from '../model/order.ts';
import { priority } from '../model/random.ts';
import { ROW_COLUMNS, type RowColumn } from '../model/row-columns.ts';
import { readModel } from './model-file.ts';
import { assertRows, BACKGROUND } from './row-files.ts';
import { checked, numberOfLabel, openRows, type RunFiles, recordedHashes, runFiles } from './run-files.ts';

/** The map of all rows of a run in tiles: made from `map.npy`, kept in `map/` of the run directory. */

/** The folder of the tiles. */
export const MAP_TILES = 'map';
const file = (name: string) => `${MAP_TILES}/${name}`;
const [INDEX, TILES, SAMPLE, DENSITY] = ['index.json', 'tiles.bin', 'sample.bin', 'density.bin'].map(file);

/** Rows of the sample that a page of one file has, at most about. */
const SAMPLE_ROWS = 100_000;
/** Rows of a cluster among which is its place. */
const CLUSTER_ROWS = 256;
/** Rows that are read at once, and that are kept for a tile before they are written. */
const [SLICE, KEPT] = [1 << 16, 256];
/** For numbers of rows in a tile. */
const PLACE_BITS = 20;
/** Far rows on each side that the first picture may leave out, and room around the others. */
const [FAR, ROOM] = [0.001, 0.03];

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
  /** The rows of a tile, by its number, as `RECORD` says, in order of priority. */
  tile(number: number): Uint8Array;
  /** A random sample of all rows, as a tile of the whole map. */
  sample(): Uint8Array;
  density(): Uint8Array;
  /** These rows, ascending, as `FOUND` says. */
  rowsAt(rows: readonly number[]): Promise<Uint8Array>;
}

/** The tiles of a run, which are made if there are none, or of another map; null of a run without map. UserError if files are damaged, or cannot be written. */
export async function openMap(of: MappedRun, isToBeMade = true): Promise<SavedMap | null> {
  const files = runFiles(of.run, recordedHashes(of.run));
  const { rows, k } = of;
  if (!files.has(MAP) || rows > MOST_MAP_ROWS || k > MOST_MAP_CLUSTERS) return null;
  // Tiles last: those of damaged files would be shown after these are restored.
  if (isToBeMade) assertRows(files);
  const index = currentIndex(of, files) ?? (isToBeMade ? await writeTiles(of, files) : null);
  if (!index) return null;
  const starts = [0];
  for (const { count } of index.tiles) starts.push(starts.at(-1)! + count * RECORD);
  return {
    index,
    sample: () => files.bytes(SAMPLE, index.sample * RECORD),
    density: () => files.bytes(DENSITY, DENSITY_CELLS ** 2),
    rowsAt: (wanted) => findRows(of, files, index, wanted),
    tile: (number) =>
      withFile(
        join(of.run, TILES),
        (opened) => {
          const bytes = new Uint8Array(index.tiles[number].count * RECORD);
          readFully(opened, bytes, starts[number]);
          return bytes;
        },
        { within: of.run },
      ),
  };
}

async function findRows(of: MappedRun, files: RunFiles, { box }: MapIndex, wanted: readonly number[]) {
  const columns = openColumns(of, files);
  const found = new Uint8Array(FOUND * wanted.length);
  const view = new DataView(found.buffer);
  let next = 0;
  const isNext = (from: number, to: number) => wanted[next] >= from && wanted[next] < to;
  try {
    // Of slices without any of them nothing is read.
    for await (const { from, xy } of placesOf(of, files, isNext)) {
      const first = wanted[next];
      const last = wanted.findLast((row) => row < from + xy.length / 2)!;
      const { clusters, confidence, outlier } = columns.read(first, last - first + 1);
      for (; wanted[next] <= last; next++) {
        const [row, i, at] = [wanted[next], wanted[next] - first, 2 * (wanted[next] - from)];
        const [x, y] = [within(xy[at], box.x, box.side), within(xy[at + 1], box.y, box.side)];
        const rest = { cluster: clusters[i], confidence: confidence[i], outlier: outlier[i] };
        writeFound(view, FOUND * next, { row, x, y, ...rest });
      }
    }
    return found;
  } finally {
    columns.close();
  }
}

/** A place in units of the side of the map. */
const within = (value: number, start: number, side: number) =>
  Math.min(1 - 2 ** -32, Math.max(0, (value - start) / side));

const count = z.int().check(z.nonnegative());
const unit = z.number().check(z.gte(0), z.lte(1));
const sha = z.nullable(z.string());
const schema = z.object({
  rows: count,
  of: z.object({ map: sha, labels: sha }),
  box: z.object({ x: z.number(), y: z.number(), side: z.number().check(z.positive()) }),
  home: list(z.number(), z.length(4)),
  places: list(z.nullable(z.object({ rows: count, x: unit, y: unit }))),
  tiles: list(z.object({ level: count, column: count, row: count, from: unit, below: unit, count })),
  sample: count,
});

function hashesOf(run: string): MapIndex['of'] {
  const hashes = recordedHashes(run);
  const of = (name: string) => (Object.hasOwn(hashes, name) ? hashes[name] : null);
  return { map: of(MAP), labels: of(LABELS) ?? of(PARTS_INDEX) };
}

/** That of this map and these labels; null: there is none. */
function currentIndex({ run, rows, k }: MappedRun, files: RunFiles): MapIndex | null {
  if (!files.has(INDEX)) return null;
  const index = checked(files, INDEX, schema);
  const { map, labels } = hashesOf(run);
  const isCurrent = index.of.map === map && index.of.labels === labels && index.rows === rows;
  // As much memory is taken for a tile as it is said to have rows.
  if (index.tiles.reduce((sum, tile) => sum + tile.count, 0) !== index.rows)
    throw files.damaged(INDEX, `its tiles have another number of rows than ${index.rows}`);
  return isCurrent && index.places.length === k ? index : null;
}

/** Places in slices of rows, x and y in turn; all slices, or those that are wanted. UserError unless they are finite numbers, two a row. */
async function* placesOf(
  { run, rows }: MappedRun,
  files: RunFiles,
  isWanted: (from: number, to: number) => boolean = () => true,
) {
  const opened = openNpy(join(run, MAP), MAP, { within: run });
  try {
    const { shape, dtype, fortran } = opened;
    if (dtype.descr !== '<f4' || fortran || String(shape) !== `${rows},2`)
      throw files.damaged(
        MAP,
        `${dtype.descr} of shape ${tuple(shape)} instead of <f4 of ${tuple([rows, 2])}`,
      );
    for (const { from, to } of ranges(rows, SLICE)) {
      if (!isWanted(from, to)) continue;
      await yieldToEventLoop();
      const bytes = new Uint8Array(8 * (to - from));
      readFully(opened, bytes, opened.offset + 8 * from);
      const xy = decode(bytes, parseDtype('<f4')) as Float32Array;
      for (let i = 0; i < xy.length; i++)
        if (!Number.isFinite(xy[i])) throw files.damaged(MAP, `row ${from + (i >> 1)} has ${xy[i]}`);
      yield { from, xy };
    }
  } finally {
    closeSync(opened.fd);
  }
}

/** What is known of rows beside their places: numbers of clusters, confidences, outlier scores. UserError for a label that is none. */
function openColumns({ run, rows, k, ids }: MappedRun, files: RunFiles) {
  const numberOf = numberOfLabel(ids);
  const hasNoise = files.has(BACKGROUND);
  const labelled = hasNoise ? k + 1 : k;
  const open = ({ file, dtype }: RowColumn) => openRows(run, file, dtype, rows);
  const labels = open(ROW_COLUMNS.labels);
  const confidences = open(ROW_COLUMNS.confidence);
  const distances = open(ROW_COLUMNS.distance);
  const outliers = files.has(OUTLIERS) ? open(ROW_COLUMNS.outliers) : null;
  const { quantiles } = readModel(files).model.distances!;
  const clusters = (from: number, count: number) => {
    const own = labels.read(from, count);
    const numbers = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
      const cluster = hasNoise && own[i] === NOISE ? k : numberOf(own[i]);
      if (!(cluster >= 0 && cluster < labelled))
        throw files.damaged(LABELS, `it has the label ${own[i]}, which is no cluster`);
      numbers[i] = cluster;
    }
    return numbers;
  };
  return {
    /** With noise, which has the number after theirs. */
    labelled,
    clusters,
    read(from: number, count: number) {
      const [own, distance] = [clusters(from, count), distances.read(from, count)];
      const flags = outliers?.read(from, count);
      const outlier = new Float32Array(count);
      for (let i = 0; i < count; i++)
        outlier[i] = flags?.[i] || own[i] === k ? 1 : outlierScore(quantiles, own[i], distance[i]);
      return { clusters: own, confidence: confidences.read(from, count), outlier };
    },
    close() {
      for (const opened of [labels, confidences, distances, outliers]) opened?.close();
    },
  };
}

/**
 * Writes the tiles, in four passes over the map: its bounds, the rows in each cell of a grid, those of each tile, then the tiles. Memory does not depend on
 * the number of rows.
 */
async function writeTiles(of: MappedRun, files: RunFiles): Promise<MapIndex> {
  const columns = openColumns(of, files);
  try {
    const { run, rows, k } = of;
    const sizes = new Float64Array(columns.labelled);
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for await (const { from, xy } of placesOf(of, files)) {
      for (const cluster of columns.clusters(from, xy.length / 2)) sizes[cluster]++;
      for (let i = 0; i < xy.length; i += 2) {
        [left, right] = [Math.min(left, xy[i]), Math.max(right, xy[i])];
        [low, high] = [Math.min(low, xy[i + 1]), Math.max(high, xy[i + 1])];
      }
    }
    // A little more, so that all places are below 1.
    const side = Math.max(right - left, high - low) * (1 + 1e-6) || 1;
    const box = { x: (left + right - side) / 2, y: (low + high - side) / 2, side };
    const cellOf = (place: number) => Math.floor(place * CELLS);
    const priorityOf = priority(0n);

    const cells = new Uint32Array(CELLS * CELLS);
    const kept = Array.from(sizes, (): [x: number[], y: number[]] => [[], []]);
    for await (const { from, xy } of placesOf(of, files)) {
      const clusters = columns.clusters(from, xy.length / 2);
      for (let i = 0; i < clusters.length; i++) {
        const cluster = clusters[i];
        const [x, y] = [within(xy[2 * i], box.x, side), within(xy[2 * i + 1], box.y, side)];
        cells[cellOf(y) * CELLS + cellOf(x)]++;
        if (priorityOf(from + i) * sizes[cluster] >= CLUSTER_ROWS) continue;
        kept[cluster][0].push(x);
        kept[cluster][1].push(y);
      }
    }
    const { tiles, tileOf } = planTiles(cells);
    const counts = new Uint32Array(tiles.length);
    let sampled = 0;
    for await (const { from, xy } of placesOf(of, files))
      for (let i = 0; i < xy.length; i += 2) {
        const [x, y] = [within(xy[i], box.x, side), within(xy[i + 1], box.y, side)];
        const own = priorityOf(from + (i >> 1));
        counts[tileOf(cellOf(x), cellOf(y), own)]++;
        if (own * rows < SAMPLE_ROWS) sampled++;
      }

    makeFolder(join(run, MAP_TILES));
    remove(join(run, INDEX));
    const sample = new Uint8Array(sampled * RECORD);
    const sampleView = new DataView(sample.buffer);
    let at = 0;
    const out = tileWriter(join(run, TILES), counts);
    try {
      for await (const { from, xy } of placesOf(of, files)) {
        const { clusters, confidence, outlier } = columns.read(from, xy.length / 2);
        for (let i = 0; i < clusters.length; i++) {
          const [x, y, row] = [within(xy[2 * i], box.x, side), within(xy[2 * i + 1], box.y, side), from + i];
          const own = priorityOf(row);
          const number = tileOf(cellOf(x), cellOf(y), own);
          const tile = tiles[number];
          const across = 2 ** tile.level;
          const record = { row, x, y, cluster: clusters[i], confidence: confidence[i], outlier: outlier[i] };
          if (own * rows < SAMPLE_ROWS) {
            writeRecord(sampleView, at, record);
            at += RECORD;
          }
          record.x = x * across - tile.column;
          record.y = y * across - tile.row;
          writeRecord(out.view, out.next(number), record);
        }
      }
      await out.finish(priorityOf);
    } catch (error) {
      out.abort();
      throw error;
    }
    await writeFile(join(run, SAMPLE), [inOrder(sample, priorityOf)]);
    await writeFile(join(run, DENSITY), [densityOf(cells)]);
    // In the order of the schema: read again, it is the same in the page.
    const index: MapIndex = {
      ...{ rows, of: hashesOf(run), box, home: homeOf(sampleView) },
      places: kept
        .slice(0, k)
        .map(([x, y], cluster) => (x.length ? { rows: sizes[cluster], ...middleOf(x, y) } : null)),
      tiles: tiles.map((tile, number) => ({ ...tile, count: counts[number] })),
      sample: sampled,
    };
    await writeFile(join(run, INDEX), [Buffer.from(`${JSON.stringify(index)}\n`)]);
    return index;
  } finally {
    columns.close();
  }
}

/** Which of these places is nearest to their medians: of a bent cluster, these may lie outside it. */
function middleOf(xs: number[], ys: number[]): { x: number; y: number } {
  const [x, y] = [quantile([...xs], 0.5), quantile([...ys], 0.5)];
  const squared = xs.map((_, i) => (xs[i] - x) ** 2 + (ys[i] - y) ** 2);
  const nearest = squared.indexOf(squared.reduce((a, b) => Math.min(a, b)));
  return { x: xs[nearest], y: ys[nearest] };
}

/** Writes rows to tiles of known sizes, one after the other in a file. */
function tileWriter(path: string, counts: Uint32Array) {
  const out = createAtomicFile(path);
  const starts = new Float64Array(counts.length);
  for (let number = 1; number < counts.length; number++)
    starts[number] = starts[number - 1] + counts[number - 1] * RECORD;
  const waiting = new Uint8Array(counts.length * KEPT * RECORD);
  const written = new Uint32Array(counts.length);
  const flush = (number: number) => {
    const count = written[number] % KEPT || (written[number] ? KEPT : 0);
    const at = number * KEPT * RECORD;
    out.write(waiting.subarray(at, at + count * RECORD), starts[number] + (written[number] - count) * RECORD);
  };
  return {
    abort: out.abort,
    view: new DataView(waiting.buffer),
    /** Where in `view` the next row of a tile is to be written. */
    next(number: number): number {
      if (written[number] && written[number] % KEPT === 0) flush(number);
      return (number * KEPT + (written[number]++ % KEPT)) * RECORD;
    },
    /** Brings the rows of each tile in the order of their priorities. */
    async finish(priorityOf: (row: number) => number): Promise<void> {
      for (const [number, count] of counts.entries()) {
        flush(number);
        await yieldToEventLoop();
        const bytes = new Uint8Array(count * RECORD);
        out.read(bytes, starts[number]);
        out.write(inOrder(bytes, priorityOf), starts[number]);
      }
      out.finish();
    },
  };
}

/** Rows in the order of their priorities. */
function inOrder(records: Uint8Array, priorityOf: (row: number) => number): Uint8Array {
  const from = new DataView(records.buffer);
  // Sorted as plain numbers: the priority, below it the place.
  const keys = Float64Array.from({ length: records.length / RECORD }, (_, i) => {
    const own = priorityOf(from.getUint32(i * RECORD + AT.row, true));
    return Math.floor(own * 2 ** (53 - PLACE_BITS)) * 2 ** PLACE_BITS + i;
  }).sort();
  const sorted = new Uint8Array(records.length);
  for (let i = 0; i < keys.length; i++) {
    const at = (keys[i] % 2 ** PLACE_BITS) * RECORD;
    for (let b = 0; b < RECORD; b++) sorted[i * RECORD + b] = records[at + b];
  }
  return sorted;
}

/** Left, bottom, right and top of the part of the map that all but the farthest rows are in, with some room around them. */
function homeOf(sample: DataView): number[] {
  const places = Array.from({ length: sample.byteLength / RECORD }, (_, i) => readRecord(sample, i * RECORD));
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  const [left, right, bottom, top] = [xs, ys].flatMap((own) => [quantile(own, FAR), quantile(own, 1 - FAR)]);
  const room = ROOM * Math.max(right - left, top - bottom, 1e-6);
  return [left - room, bottom - room, right + room, top + room];
}

function quantile(values: number[], part: number): number {
  values.sort((a, b) => a - b);
  return values[Math.round(part * (values.length - 1))];
}
