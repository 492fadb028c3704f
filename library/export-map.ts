import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createAtomicFile, makeFolder, readFully } from '../base/files.ts';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { openUnchanged } from '../coordinator/report/rows.ts';
import { labelColumns } from '../coordinator/storage/descriptions.ts';
import { type RunFile, readRunFile } from '../coordinator/storage/run-file.ts';
import { assertNotOfRun } from '../coordinator/storage/run-path.ts';
import { npyHeader, openNpy } from '../data/npy.ts';
import { type ParquetColumn, type ParquetValues, parquetFile } from '../data/saved/parquet.ts';
import { readSavedCentres } from '../data/saved/row-files.ts';
import { CONFIDENCES, DISTANCES, LABELS, OUTLIERS } from '../data/saved/row-parts.ts';
import { numberOfLabel, openRows, type RunFiles, runFiles } from '../data/saved/run-files.ts';
import {
  readSavedClusters,
  readSavedTree,
  type SavedClusters,
  type SavedTree,
} from '../data/saved/saved-clusters.ts';
import { readTrainedModel } from '../data/saved/trained-model.ts';
import type { Source } from '../data/source.ts';
import { rowTexts } from '../data/texts.ts';
import { type Layer, layersOf } from '../model/hierarchy/layers.ts';
import { anchorCollector } from '../view/map-anchors.ts';
import { type Anchor, mapNames } from '../view/map-labels.ts';
import { assertOptions, assertWritable, fixedPaths } from './inputs.ts';

/** The map of a finished run with its names, for programs that draw maps: Embedding Atlas and DataMapPlot. */

/** Rows of a row group. */
const SLICE_ROWS = 1 << 16;
/** Columns of a table that are written for colours and filters, at most. */
const MOST_COLUMNS = 64;
/** The files of `--atlas`. */
/** Two coordinates of each row: float32, N×2. */
const MAP = 'map.npy';
const [ROWS_FILE, LABELS_FILE] = ['rows.parquet', 'labels.parquet'];

interface MappedRun {
  run: RunFile;
  files: RunFiles;
  rows: number;
  k: number;
  tree: SavedTree | null;
  /** Of names, the clusters first. */
  layers: Layer[];
  /** Of each node of the tree. */
  names: string[];
  /** The clusters of rows. */
  labels(start: number, count: number): Int32Array;
  /** Two coordinates a row. */
  map(start: number, count: number): Float32Array;
  close(): void;
}

/** Options of `exportMap`. */
export interface ExportMapOptions {
  /** The directory of a finished run. */
  run: string;
  /**
   * Write a folder for Embedding Atlas: `rows.parquet`, a row for each of the run with its text, cluster, name, place, scores and, of a table
   * with up to 64 columns, what these have, and `labels.parquet`, names with their places.
   */
  atlas?: string;
  /**
   * Write an .npz for DataMapPlot: `map` (float32, N×2), and for each layer l of names, the clusters first, `labels_l` (int32, N), the index of
   * each row's name in `names_l`.
   */
  datamapplot?: string;
  /** Overwrite existing files. If false, they are an error. */
  force?: boolean;
}

/** A map that was exported. */
export interface ExportedMap {
  /** Number N of rows. */
  readonly rows: number;
  /** Names in each layer of labels, the clusters first. */
  readonly layers: readonly number[];
}

/**
 * Writes the map of a finished run, with the names of its clusters, for other programs.
 *
 * @throws {UserError} (rejection) if the run is not finished or has no map, as those of earlier versions, or a file exists and `force` is not set
 */
export async function exportMap(options: ExportMapOptions): Promise<ExportedMap> {
  const kinds = { run: 'string', atlas: 'output', datamapplot: 'output', force: 'boolean' } as const;
  assertOptions('exportMap', options, kinds, ['run']);
  const { run, atlas, datamapplot, force = false } = options;
  const paths = fixedPaths();
  const [folder, atlasAt, npz] = [paths.fix(run), paths.fix(atlas), paths.fix(datamapplot)];
  return paths.naming(async () => {
    assertNotOfRun(run, { '--atlas': atlas, '--datamapplot': datamapplot });
    const filesOfAtlas = [ROWS_FILE, LABELS_FILE].map((name) => atlasAt && join(atlasAt, name));
    for (const path of filesOfAtlas) assertWritable({ '--atlas': path }, force);
    assertWritable({ '--datamapplot': npz }, force);
    const mapped = openMapped(folder);
    try {
      if (atlasAt) {
        makeFolder(atlasAt);
        const anchors = await writeRows(mapped, join(atlasAt, ROWS_FILE), force);
        await writeLabels(mapped, anchors, join(atlasAt, LABELS_FILE), force);
      }
      if (npz) await writeLayers(mapped, npz, force);
      return { rows: mapped.rows, layers: mapped.layers.map(({ size }) => size) };
    } finally {
      mapped.close();
    }
  });
}

async function writeLayers(
  { rows, layers, names, ...mapped }: MappedRun,
  path: string,
  force: boolean,
): Promise<void> {
  const { ZipFile } = (await import('yazl')).default;
  const zip = new ZipFile();
  const add = (
    name: string,
    descr: string,
    shape: number[],
    bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ) => {
    const content = async function* () {
      yield npyHeader(descr, shape);
      yield* bytes;
    };
    zip.addReadStreamLazy(`${name}.npy`, { compress: false }, (done) =>
      done(null, Readable.from(content(), { objectMode: false })),
    );
  };
  const slices = async function* (read: (start: number, count: number) => Int32Array | Float32Array) {
    for (const { from, to } of ranges(rows, SLICE_ROWS)) {
      await yieldToEventLoop();
      yield Buffer.from(read(from, to - from).buffer);
    }
  };
  add('map', '<f4', [rows, 2], slices(mapped.map));
  for (const [l, layer] of layers.entries()) {
    const place = new Int32Array(mapped.k);
    for (const [group, { from }] of [...layer.values()].entries())
      for (const cluster of from) place[cluster] = group;
    const labels = (start: number, count: number) => mapped.labels(start, count).map((c) => place[c]);
    add(`labels_${l}`, '<i4', [rows], slices(labels));
    const own = [...layer.keys()].map((node) => names[node]);
    const width = Math.max(1, ...own.map((name) => [...name].length));
    add(`names_${l}`, `<U${width}`, [own.length], [unicode(own, width)]);
  }
  zip.end();
  const out = sinkOf(path, force);
  try {
    for await (const chunk of zip.outputStream as AsyncIterable<Buffer>) out.write(chunk);
    out.finish();
  } catch (error) {
    out.abort();
    throw error;
  }
}

/** UTF-32, padded with zeros to `width` characters, as NumPy has texts. */
function unicode(texts: readonly string[], width: number): Uint8Array {
  const points = new Uint32Array(texts.length * width);
  for (const [i, text] of texts.entries())
    points.set(
      [...text].map((character) => character.codePointAt(0)!),
      i * width,
    );
  return new Uint8Array(points.buffer);
}

/** A row group for each slice. Returns where clusters are on the map. */
async function writeRows(mapped: MappedRun, path: string, force: boolean): Promise<(Anchor | null)[]> {
  const { run, files, rows, names } = mapped;
  const { k } = run.result!;
  const { transform, classifier } = readTrainedModel(files.run);
  const measured = readSavedCentres(files, classifier.at(-1)!.values.length, transform.dim);
  const details = labelColumns(measured!.quantiles, null);
  const column = (name: string, descr: '<f4' | '|b1') => openRows(files.run, name, descr, rows);
  const [confidence, distance] = [column(CONFIDENCES, '<f4'), column(DISTANCES, '<f4')];
  const outliers = files.has(OUTLIERS) ? column(OUTLIERS, '|b1') : null;
  const source = await openUnchanged(files.run, { run, checkpoint: null, notes: [] });
  const { text } = run.config;
  const texts =
    text !== null && source?.texts
      ? rowTexts(source.texts(text), `column ${text} of ${run.config.data}`)
      : null;
  const shown = shownColumns(source, run);
  const anchors = anchorCollector(k);
  const out = sinkOf(path, force);
  try {
    const table = await parquetFile(out, [
      { name: 'row', type: 'integer' },
      ...(texts ? [{ name: 'text', type: 'text' } as const] : []),
      { name: 'cluster', type: 'integer' },
      { name: 'name', type: 'text' },
      { name: 'map_x', type: 'number' },
      { name: 'map_y', type: 'number' },
      { name: 'confidence', type: 'number' },
      { name: 'outlier_score', type: 'number' },
      ...shown.map(({ name }): ParquetColumn => ({ name, type: 'number' })),
    ]);
    for (const { from, to } of ranges(rows, SLICE_ROWS)) {
      await yieldToEventLoop();
      const count = to - from;
      const [labels, places] = [mapped.labels(from, count), mapped.map(from, count)];
      anchors.add(labels, places);
      const { outlier_score } = details.of({
        labels,
        confidence: confidence.read(from, count) as Float32Array,
        distance: distance.read(from, count) as Float32Array,
        outliers: (outliers?.read(from, count) ?? null) as Uint8Array | null,
      });
      const values: ParquetValues[] = [
        Int32Array.from(labels, (_, i) => from + i),
        ...(texts ? [await texts.next(count)] : []),
        labels.map((cluster) => run.ids?.[cluster] ?? cluster),
        Array.from(labels, (cluster) => names[cluster]),
        ...[0, 1].map((axis) => Float32Array.from(labels, (_, i) => places[2 * i + axis])),
        confidence.read(from, count) as Float32Array,
        Float32Array.from(outlier_score),
      ];
      if (shown.length) {
        const read = await source!.read(from, count);
        for (const { column } of shown)
          values.push(Float32Array.from(labels, (_, i) => read[i * source!.dim + column]));
      }
      table.write(values, count);
    }
    await texts?.end();
    table.end();
    out.finish();
    return anchors.anchors();
  } catch (error) {
    out.abort();
    throw error;
  } finally {
    for (const reader of [confidence, distance, outliers, texts, source]) await reader?.close();
  }
}

/** The named columns of the data, for colours and filters; none of embeddings and other data of many columns. */
function shownColumns(source: Source | null, run: RunFile): { name: string; column: number }[] {
  const names = source?.names ?? [];
  if (run.data.codes || !names.length || names.length > MOST_COLUMNS) return [];
  const taken = ['row', 'text', 'cluster', 'name', 'map_x', 'map_y', 'confidence', 'outlier_score'];
  return names.map((name, column) => ({ name: taken.includes(name) ? `${name} (data)` : name, column }));
}

/** Names with their places, as `--labels` of Embedding Atlas takes them. */
async function writeLabels(
  { tree, names }: MappedRun,
  anchors: readonly (Anchor | null)[],
  path: string,
  force: boolean,
): Promise<void> {
  const labels = mapNames(anchors, tree, (node) => names[node]);
  const out = sinkOf(path, force);
  try {
    const table = await parquetFile(out, [
      { name: 'x', type: 'number' },
      { name: 'y', type: 'number' },
      { name: 'text', type: 'text' },
      { name: 'level', type: 'integer' },
      { name: 'priority', type: 'integer' },
    ]);
    table.write(
      [
        ...(['x', 'y'] as const).map((axis) => Float32Array.from(labels, (label) => label[axis])),
        labels.map(({ node }) => names[node]),
        Int32Array.from(labels, ({ layer }) => layer),
        // In the order of their importance.
        Int32Array.from(labels, (_, i) => labels.length - i),
      ],
      labels.length,
    );
    table.end();
    out.finish();
  } catch (error) {
    out.abort();
    throw error;
  }
}

/** A new file that is written from its beginning on. */
function sinkOf(path: string, force: boolean) {
  const { write, ...file } = createAtomicFile(path, { replace: force });
  let at = 0;
  return {
    ...file,
    write(bytes: Uint8Array) {
      write(bytes, at);
      at += bytes.length;
    },
  };
}

/** UserError if the run is not finished, or has no map. */
function openMapped(path: string): MappedRun {
  const run = readRunFile(path, dpmeshVersion());
  const { result } = run;
  if (!result) throw new UserError(`${path} is not finished; continue it with: dpmesh resume ${path}`);
  const files = runFiles(path, run.files);
  if (!files.has(MAP))
    throw new UserError(
      `${path} has no ${MAP}, as an earlier version trained it; to repeat the run: dpmesh train --config ${join(path, 'run.json')} --out ELSEWHERE`,
    );
  files.assertIntact(MAP);
  const { rows } = run.data;
  const tree = readSavedTree(files);
  const numberOf = numberOfLabel(run.ids);
  const labels = openRows(path, LABELS, '<i4', rows);
  const map = openNpy(join(path, MAP), MAP, { within: path });
  return {
    ...{
      run,
      files,
      rows,
      tree,
      k: result.k,
      layers: layersOf(tree ?? { sizes: [rows], joins: [] }),
      names: namesOfNodes(readSavedClusters(files), tree),
    },
    labels: (start, count) => Int32Array.from(labels.read(start, count), numberOf),
    map(start, count) {
      const places = new Float32Array(2 * count);
      readFully(map, new Uint8Array(places.buffer), map.offset + places.BYTES_PER_ELEMENT * 2 * start);
      return places;
    },
    close() {
      labels.close();
      closeSync(map.fd);
    },
  };
}

/** The name of each node of the tree; of runs of earlier versions clusters have their numbers. */
function namesOfNodes(clusters: SavedClusters | null, tree: SavedTree | null): string[] {
  const k = tree?.clusters ?? clusters?.clusters.length ?? 1;
  const names = Array.from({ length: k }, (_, cluster) => {
    const own = clusters?.clusters[cluster] as { name?: string; id?: number } | undefined;
    return own?.name ?? `cluster ${own?.id ?? cluster}`;
  });
  const joins = (clusters as { joins?: { name: string }[] } | null)?.joins;
  for (const [j, { a }] of (tree?.joins ?? []).entries()) names.push(joins?.[j]?.name ?? names[a]);
  return names;
}
