import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createAtomicFile, makeFolder } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { npyHeader } from '../../data/npy.ts';
import { openSource } from '../../data/open.ts';
import { MAP, OUTLIERS } from '../../data/row-parts.ts';
import type { Source } from '../../data/source.ts';
import { rowTexts } from '../../data/texts/texts.ts';
import { withTexts } from '../../data/texts/with-texts.ts';
import { numberName } from '../../model/description/names.ts';
import { layersOf, type TreeLayer } from '../../model/hierarchy/dendrogram.ts';
import { NOISE } from '../../model/order.ts';
import { NONE_OPTIONAL } from '../../model/row-columns.ts';
import { wholeMapOf } from '../../page/map.ts';
import { openUnchanged } from '../../page/rows.ts';
import { nodeNames } from '../../run/described.ts';
import {
  labelColumns,
  mapColumns,
  type ParquetColumn,
  type ParquetValues,
  parquetFile,
} from '../../run/label-table.ts';
import { kindsOf } from '../../run/option.ts';
import { type RowSlice, rowSlices } from '../../run/row-files.ts';
import { type RunFile, readFinishedRun } from '../../run/run-file.ts';
import type { RunFiles } from '../../run/run-files.ts';
import { assertNotOfRun } from '../../run/run-path.ts';
import { readSavedClusters, type SavedClusters } from '../../run/saved-clusters.ts';
import { readSavedTree } from '../../run/saved-tree.ts';
import { shownProblem } from '../../run/shown-files.ts';
import { readTrainedModel } from '../../run/trained-model.ts';
import type { WholeMap } from '../../run/whole-map.ts';
import { assertOptions, assertWritable, fixedPaths } from '../arguments.ts';
import { EXPORT } from '../command-options.ts';

/** The map of a finished run with its names, for programs that draw maps: Embedding Atlas and DataMapPlot. */

/** Columns of a table that are written for colours and filters, at most. */
const MOST_COLUMNS = 64;
/** The files of `--atlas`. */
const [ROWS_FILE, LABELS_FILE] = ['rows.parquet', 'labels.parquet'];

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
 * @throws {UserError} (rejection) if the run is not finished or has its map in parts, or a file exists and `force` is not set
 */
export async function exportMap(options: ExportMapOptions): Promise<ExportedMap> {
  const { onnx: _, ...kinds } = kindsOf(EXPORT);
  assertOptions('exportMap', options, kinds, ['run']);
  const { run, atlas, datamapplot, force = false } = options;
  const paths = fixedPaths();
  const [folder, atlasAt, npz] = [paths.fix(run), paths.fix(atlas), paths.fix(datamapplot)];
  return paths.naming(async () => {
    assertNotOfRun(run, { '--datamapplot': datamapplot });
    const filesOfAtlas = [ROWS_FILE, LABELS_FILE].map((name) => atlasAt && join(atlasAt, name));
    for (const path of filesOfAtlas) {
      assertNotOfRun(run, { '--atlas': path });
      assertWritable({ '--atlas': path }, force);
    }
    assertWritable({ '--datamapplot': npz }, force);
    const mapped = await openMapped(folder);
    if (atlasAt) {
      makeFolder(atlasAt);
      await writeRows(mapped, join(atlasAt, ROWS_FILE), force);
      await writeLabels(mapped, join(atlasAt, LABELS_FILE), force);
    }
    if (npz) await writeLayers(mapped, npz, force);
    return { rows: mapped.run.data.rows, layers: mapped.layers.map(({ size }) => size) };
  });
}

interface MappedRun {
  run: RunFile;
  files: RunFiles;
  about: WholeMap;
  /** Of names, the clusters first. */
  layers: TreeLayer[];
  /** The name of a node of the tree. */
  nameOf(node: number): string;
  slices(): AsyncGenerator<RowSlice>;
}

/** UserError if the run is not finished, or has no map in one file. */
async function openMapped(path: string): Promise<MappedRun> {
  const { at, about: run, files } = readFinishedRun(path);
  const { data, result, ids } = run;
  const found = await wholeMapOf(at, run);
  if (!found)
    throw new UserError(
      `${path} has no ${MAP}, as --labels-out shards has it in parts; to repeat the run: dpmesh train --config ${join(path, 'run.json')} --labels-out file --out ELSEWHERE`,
    );
  const clusters = readSavedClusters(files);
  const tree = readSavedTree(files) ?? { sizes: Array.from({ length: result.k }, () => 1), joins: [] };
  const layers = tree.joins.length ? layersOf(tree) : [layerOf(result.k)];
  const slices = () =>
    rowSlices(at, data.rows, { has: { ...NONE_OPTIONAL, map: true, outliers: files.has(OUTLIERS) }, ids });
  return { run, files, about: found.about, layers, nameOf: nameOfNodes(clusters, ids), slices };
}

/** Clusters that no tree joins. */
const layerOf = (k: number): TreeLayer =>
  new Map(
    Array.from({ length: k }, (_, cluster) => [
      cluster,
      { node: cluster, rows: 0, from: [cluster], height: null },
    ]),
  );

/** Where nothing sets a cluster apart, its number. */
function nameOfNodes(described: SavedClusters | null, ids?: readonly number[]): (node: number) => string {
  const names = described ? nodeNames(described) : () => '';
  return (node) => names(node) || numberName(ids?.[node] ?? node);
}

async function writeLayers(
  { run, layers, nameOf, slices }: MappedRun,
  path: string,
  force: boolean,
): Promise<void> {
  const { rows } = run.data;
  const { ZipFile } = (await import('yazl')).default;
  const zip = new ZipFile();
  const add = (name: string, descr: string, shape: number[], parts: () => AsyncIterable<Buffer> | Buffer[]) =>
    zip.addReadStreamLazy(`${name}.npy`, { compress: false }, (done) => {
      const content = async function* () {
        yield npyHeader(descr, shape);
        yield* parts();
      };
      done(null, Readable.from(content(), { objectMode: false }));
    });
  const ofRows = (of: (slice: RowSlice) => Int32Array | Float32Array) =>
    async function* () {
      for await (const slice of slices()) yield Buffer.from(of(slice).buffer);
    };
  add(
    'map',
    '<f4',
    [rows, 2],
    ofRows(({ map }) => map!),
  );
  for (const [l, layer] of layers.entries()) {
    const groups = [...layer.values()];
    const place = new Map(groups.flatMap(({ from }, group) => from.map((cluster) => [cluster, group])));
    add(
      `labels_${l}`,
      '<i4',
      [rows],
      ofRows(({ labels }) => labels.map((cluster) => place.get(cluster) ?? NOISE)),
    );
    const names = [...layer.keys()].map(nameOf);
    const width = Math.max(...names.map((name) => [...name].length));
    add(`names_${l}`, `<U${width}`, [names.length], () => [unicode(names, width)]);
  }
  zip.end();
  await written(path, force, async (write) => {
    for await (const chunk of zip.outputStream as AsyncIterable<Buffer>) write(chunk);
  });
}

/** UTF-32, padded with zeros to `width` characters, as NumPy has texts. */
function unicode(texts: readonly string[], width: number): Buffer {
  const points = new Uint32Array(texts.length * width);
  for (const [i, text] of texts.entries())
    points.set(
      [...text].map((character) => character.codePointAt(0)!),
      i * width,
    );
  return Buffer.from(points.buffer);
}

/** A row group for each slice. */
async function writeRows(
  { run, files, nameOf, slices }: MappedRun,
  path: string,
  force: boolean,
): Promise<void> {
  const { ids, config } = run;
  const { quantiles } = readTrainedModel(files.run, { details: true }).measured!;
  const scores = labelColumns(quantiles, null);
  const source = await openUnchanged(files.run, { run, checkpoint: null }, openSource);
  const problem = source && (await shownProblem(run, ['data', 'texts']));
  if (problem) {
    source.close();
    throw new UserError(
      `${problem}: restore it, or move it away for an export without texts, as these may be those of other rows`,
    );
  }
  const described = source && (await withTexts(source, config)).described;
  const texts = described ? rowTexts(described.read(), described.name) : null;
  const shown = shownColumns(source, run);
  const columns: ParquetColumn[] = [
    { name: 'row', type: 'integer' },
    ...(texts ? [{ name: 'text', type: 'text' } as const] : []),
    { name: 'cluster', type: 'integer' },
    { name: 'name', type: 'text' },
    ...['map_x', 'map_y', 'confidence', 'outlier_score'].map((name) => ({ name, type: 'number' }) as const),
    ...shown.map(({ name }) => ({ name, type: 'number' }) as const),
  ];
  try {
    await written(path, force, async (write) => {
      const table = await parquetFile({ write }, columns);
      for await (const slice of slices()) {
        const { start, labels, confidence, map } = slice;
        const { map_x, map_y } = mapColumns(map!);
        const values: ParquetValues[] = [
          labels.map((_, i) => start + i),
          ...(texts ? [await texts.next(labels.length)] : []),
          labels.map((cluster) => ids?.[cluster] ?? cluster),
          Array.from(labels, nameOf),
          ...[map_x, map_y, confidence, Float32Array.from(scores.of(slice).outlier_score)],
        ];
        if (shown.length) {
          const read = await source!.read(start, labels.length);
          for (const { column } of shown)
            values.push(Float32Array.from(labels, (_, i) => read[i * source!.dim + column]));
        }
        table.write(values, labels.length);
      }
      await texts?.end();
      table.end();
    });
  } finally {
    await texts?.close();
    source?.close();
  }
}

/** The named columns of the data, for colours and filters; none of embeddings and other data of many columns. */
function shownColumns(source: Source | null, run: RunFile): { name: string; column: number }[] {
  const names = source?.names ?? [];
  if (run.data.codes || names.length > MOST_COLUMNS) return [];
  const taken = ['row', 'text', 'cluster', 'name', 'map_x', 'map_y', 'confidence', 'outlier_score'];
  return names.map((name, column) => ({ name: taken.includes(name) ? `${name} (data)` : name, column }));
}

/** Names with their places, as `--labels` of Embedding Atlas takes them. */
async function writeLabels({ about, nameOf }: MappedRun, path: string, force: boolean): Promise<void> {
  const { names, index } = about;
  const { x: left, y: bottom, side } = index.box;
  await written(path, force, async (write) => {
    const table = await parquetFile({ write }, [
      { name: 'x', type: 'number' },
      { name: 'y', type: 'number' },
      { name: 'text', type: 'text' },
      { name: 'level', type: 'integer' },
      { name: 'priority', type: 'integer' },
    ]);
    const columns = [
      Float32Array.from(names, ({ x }) => left + side * x),
      Float32Array.from(names, ({ y }) => bottom + side * y),
      names.map(({ node }) => nameOf(node)),
      Int32Array.from(names, ({ layer }) => layer),
      // They are in the order of their importance.
      Int32Array.from(names, (_, i) => names.length - i),
    ];
    table.write(columns, names.length);
    table.end();
  });
}

/** A file whose bytes come one piece after the other. */
async function written(
  path: string,
  force: boolean,
  content: (write: (bytes: Uint8Array) => void) => Promise<void>,
): Promise<void> {
  const file = createAtomicFile(path, { replace: force });
  let at = 0;
  try {
    await content((bytes) => {
      file.write(bytes, at);
      at += bytes.length;
    });
    file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}
