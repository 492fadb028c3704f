import { UserError } from '../../base/user-error.ts';
import { imageShape } from '../../data/images/folder.ts';
import type { Source } from '../../data/source.ts';
import type { Order } from '../../model/order.ts';
import { classify } from '../../model/state.ts';
import type { ClusterCheckpoint } from '../../run/checkpoint.ts';
import { savedDecoder } from '../../run/checkpoints.ts';
import type { Described } from '../../run/described.ts';
import type { FileReaders } from '../../run/file-readers.ts';
import type { RunHistory } from '../../run/history.ts';
import type { RunFile } from '../../run/run-file.ts';
import { type MergeTree, modelOf } from '../drawing/api.ts';
import type { DisplaySample } from '../drawing/display-sample.ts';
import { createMap, createViewer, type ModelView } from '../drawing/model-view.ts';
import { howRead, openUnchanged, readSample, sampledLabels } from '../rows.ts';
import { clusterRatios, splitRatiosIn } from '../split-ratios.ts';
import type { ReportContents } from './contents.ts';
import { exemplarView } from './exemplars.ts';
import type { FittedModel } from './fitted-model.ts';

/** Points and clusters of a run as they are drawn, and its images, read from its data. */

interface ViewInputs {
  run: RunFile;
  fitted: FittedModel;
  checkpoint: ClusterCheckpoint | null;
  history: RunHistory | null;
  done: boolean;
  notes: string[];
  described: Described | null;
  tree: MergeTree | null;
  points: number;
  /** All rows have places on a map: the sample needs none. */
  hasMap: boolean;
  open: FileReaders['open'];
}

/** The rows of a sample that are in clusters. */
function inClusters(sample: DisplaySample, labels: Int32Array) {
  const isKept = (i: number) => labels[i] >= 0;
  const { rows, dim, numbers } = sample;
  return {
    sample: {
      ...sample,
      rows: rows.filter((_, p) => isKept(Math.floor(p / dim))),
      numbers: numbers.filter((_, i) => isKept(i)),
    },
    labels: labels.filter((label) => label >= 0),
  };
}

/** Points and clusters on axes and on a map, and images; without points if the data cannot be read. */
export async function viewsOf(
  path: string,
  inputs: ViewInputs,
): Promise<Pick<ReportContents, 'exemplars' | 'map' | 'view' | 'withoutPoints'>> {
  const { run, fitted, history, done, tree, points } = inputs;
  const { transform, mixture, groups, counted } = fitted;
  let withoutPoints: string | null = null;
  const source = await openUnchanged(path, inputs, inputs.open, (why) => {
    withoutPoints = `${why}: the pictures show no points`;
    inputs.notes.push(withoutPoints);
  });
  try {
    const all = source && (await readSample(source, transform, points));
    const hasNoise = Boolean(run.result?.noise);
    const found = !all
      ? new Int32Array(0)
      : done
        ? sampledLabels(path, run.data.rows, all.numbers.length, fitted.rows.length, run.ids, hasNoise)
        : classify(fitted.classifier!, all.rows);
    // Pictures of clusters show no noise.
    const { sample, labels } = all && hasNoise ? inClusters(all, found) : { sample: all, labels: found };
    const rows = Array.from(fitted.rows);
    const state = {
      ...modelOf(mixture, transform),
      groups: groups ? [...groups] : undefined,
      epoch: run.result?.epochs ?? inputs.checkpoint?.state.epoch ?? 0,
      sizes: rows,
      counts: counted ? rows : null,
      splitRatio: clusterRatios(ratiosOf(history, finalOrder(run, done), mixture.k), groups),
      tree,
      ids: done ? run.ids : undefined,
    };
    const view = createViewer()(state, sample, labels, true);
    const map = sample && !inputs.hasMap ? createMap()(view, sample, state.scale) : null;
    const exemplars = source && (await imagesOf(path, inputs, source, { ...view, labels: found }));
    return { view, map: map?.isMap ? map : null, exemplars, withoutPoints };
  } finally {
    source?.close();
  }
}

/** For each of the K components the log-ratio of the last proposal to split it; null: none is known. */
function ratiosOf(history: RunHistory | null, order: Order | null, k: number): (number | null)[] {
  const ratios = history ? splitRatiosIn(history.events, history.epochs.k[0] ?? 1) : [];
  const numbered = order ? order.map((old) => ratios[old] ?? null) : ratios;
  return numbered.length === k ? numbered : Array<null>(k).fill(null);
}

/**
 * For each component of the results the number that it has in events; null: the same; none where that is not known, of a run that was
 * killed as it wrote its results.
 */
function finalOrder({ order, result }: RunFile, done: boolean): Order | null {
  if (!done) return null;
  return order ?? (result ? null : []);
}

/** What the clusters of images look like; null if rows are none, or the file is another one now. */
async function imagesOf(
  path: string,
  { run, described, done, open }: ViewInputs,
  clustered: Source,
  view: ModelView,
) {
  const { data, config } = run;
  let source = clustered;
  try {
    if (data.codes) source = await open(config.data, howRead(path, run));
    const shape = imageShape(source.shape);
    if (!shape || source.rows !== data.rows || source.dim !== data.dim) return null;
    const decode = data.codes && done ? savedDecoder(path) : null;
    return await exemplarView({
      view,
      images: { source, shape },
      codes: decode && { source: clustered, decode },
      border: (cluster) => described?.clusters[cluster]?.border.map(({ row }) => row) ?? [],
      typical: (cluster) =>
        (described?.clusters[cluster]?.exemplars.map(({ row }) => row) ?? view.typical[cluster] ?? []).filter(
          (row) => row < data.rows,
        ),
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return null;
  } finally {
    if (source !== clustered) source.close();
  }
}
