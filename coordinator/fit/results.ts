import { concatInSlices } from '../../base/slices.ts';
import type { Name } from '../../model/description/names.ts';
import type { Mixture } from '../../model/mixture.ts';
import type { State } from '../../model/state.ts';
import { alarmsOf } from '../../model/stream/drift.ts';
import type { Lineage } from '../../model/stream/findings.ts';
import { clusterIds, type Stream } from '../../model/stream/stream.ts';
import { type FullPassResult, shownRows, writeLabelFiles } from '../../run/descriptions.ts';
import { encoderOf } from '../../run/encoding.ts';
import { BACKGROUND, COMPONENTS, IMAGES, imageLines, KEPT_ROWS } from '../../run/row-files.ts';
import type { RunDirectory } from '../../run/run-directory.ts';
import { type RunMetadata, runFile } from '../../run/run-file.ts';
import { LINEAGE } from '../../run/saved-clusters.ts';
import { shownFiles } from '../../run/shown-files.ts';
import type { Summary } from '../../run/summary.ts';
import { TREE } from '../../run/tree.ts';
import { densitiesOfState } from './publish.ts';
import type { Prepared } from './run-context.ts';
import { isInParts, type MetadataPorts, metadataOf, type Ports, type RunState } from './run-state.ts';
import { copiesInData } from './sample.ts';
import { writeModel } from './saved-model.ts';

/** The files of the run directory with the results of a run whose rows have labels. */

/** The first of each row's near copies, −1 for rows without any. */
const COPIES = 'copies.npy';

/** Writes what has been found of clusters and rows, and the model. */
export async function writeResults(
  { source, out, trainer }: Ports<'out' | 'source' | 'trainer'>,
  state: RunState,
): Promise<void> {
  const { layout, encoding } = state;
  const { found, centres, tree, state: final, stream, lineage } = state.labelled!;
  const run = state.run!;
  if (tree) out.json(TREE, tree);
  if (stream) out.json(LINEAGE, lineageFile(stream, lineage!));
  const { images, table, names = null } = source;
  if (images) out.bytes(IMAGES, imageLines(images));
  if (table?.dropped.length)
    await out.npy(KEPT_ROWS, '<i4', [layout.rows], keptRows(table.dropped, layout.rows));
  const { graph, sample } = state.clusters!;
  // Of an update they are in its sample, not among the rows of the data.
  if (graph?.copies && !stream) {
    const copies = copiesInData(layout, sample.below, graph.copies, found.sampledOutliers);
    await out.npy(COPIES, '<i4', [layout.rows], copies);
  }
  await writeMixture(run, final, found.T, await trainer.mixtureOf(final.prior, found.T), out);
  const densities = densitiesOfState(run, final, centres);
  const rows = { centres, quantiles: found.shown.quantiles, densities, map: await state.map! };
  const encoder = encoding && encoderOf(encoding);
  writeModel(run, final, { names, logged: source.logged }, encoder, state.data!.moments, rows, out);
}

/** `drift`: as in the event; `lineage`: what became of clusters in this update, `history`: in all. */
const lineageFile = (stream: Stream, lineage: readonly Lineage[]) => ({
  ...{ update: stream.updates, ids: clusterIds(stream) },
  drift: stream.drift && { ...stream.drift, alarms: alarmsOf(stream.drift) },
  ...{ lineage, history: stream.history },
});

/** The numbers in the data of the `rows` that are left without those `dropped`, ascending. */
function keptRows(dropped: readonly number[], rows: number): Int32Array {
  const kept = new Int32Array(rows);
  let d = 0;
  for (let i = 0; i < rows; i++) {
    while (dropped[d] === i + d) d++;
    kept[i] = i + d;
  }
  return kept;
}

/** Writes the mixture of all rows, for people. `T`: the statistics of its components. */
async function writeMixture(
  { transform: { offset }, config, d }: Prepared,
  { mixture: { k }, groups, background }: State,
  T: FullPassResult['T'],
  { weights, means, covariances }: Mixture,
  out: RunDirectory,
): Promise<void> {
  const write = (name: string, shape: number[], values: Float64Array) =>
    out.npy(`mixture/${name}.npy`, '<f8', shape, values);
  await write('weights', [k], weights);
  const moved = means.map((mean) => mean.map((value, i) => value + offset[i]));
  await write('means', [k, d], await concatInSlices(moved));
  const shape = config.covariance === 'full' ? [k, d, d] : [k, d];
  await write('covariances', shape, await concatInSlices(covariances));
  await write(
    'counts',
    [k],
    Float64Array.from(T, ([rows]) => rows),
  );
  if (groups) await out.npy(COMPONENTS, '<i4', [k], groups);
  if (background)
    await out.npy(BACKGROUND, '<f8', [2], Float64Array.of(background.weight, background.logDensity));
}

/** Writes the tables of what is said of single rows. Returns what names those that are shown. `called`: the names of clusters that have rows. */
export async function writeRowTables(
  context: Ports<'config' | 'out' | 'source' | 'update' | 'warn'>,
  { run, layout, labelled }: RunState,
  called: readonly (Name | null)[],
): Promise<Map<number, string>> {
  // Parts have no table of all rows, nor names.
  if (isInParts(context)) return new Map();
  const { config, source, out, warn } = context;
  const { found, stream, state } = labelled!;
  return writeLabelFiles(out, source, config, {
    quantiles: found.shown.quantiles,
    rows: layout.rows,
    ids: stream && clusterIds(stream),
    has: {
      component: config.components,
      log_density: !state.graph,
      map: true,
      outliers: run!.transform.fences !== null,
    },
    ...{ called, shown: shownRows(found), warn },
  });
}

/** Writes `run.json`. `summary`: null before there is one. */
export async function writeRunFile(
  context: MetadataPorts & Ports<'out'>,
  state: RunState,
  summary: Summary | null,
): Promise<void> {
  const { data, encoding, clusters, labelled, update } = state;
  const { config, source, out } = context;
  const { hashes } = encoding ?? update?.read ?? data!;
  const shown = summary ? await shownFiles(config, source) : undefined;
  const metadata = { ...metadataOf(context, state, hashes), shown };
  const written = labelled && {
    ...{ files: out.hashes(), order: labelled.found.order },
    ids: labelled.stream && clusterIds(labelled.stream),
  };
  const content = summary ? withGraph(metadata, clusters!) : metadata;
  out.json('run.json', runFile(content, summary, written ?? undefined));
}

/** With the resolution of the graph, if one was chosen. */
function withGraph({ likelihood, ...rest }: RunMetadata, { graph }: State): RunMetadata {
  if (!likelihood || !graph) return { ...rest, likelihood };
  const { resolution, stability } = graph;
  const chosen = stability === null ? { stability } : { resolution, stability };
  return { ...rest, likelihood: { ...likelihood, ...chosen } };
}
