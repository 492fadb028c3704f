import { backendOfIdentity } from '../../base/identity.ts';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { readSpans } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { diagnoseRow, formatNumber } from '../../data/value-range.ts';
import { firstColumns } from '../../model/arrays.ts';
import { distancesFrom } from '../../model/description/distances.ts';
import { rowClusters } from '../../model/gaussian/components.ts';
import { CLOSED } from '../../model/gaussian/estep.ts';
import { withNoise } from '../../model/gaussian/noise.ts';
import { NOISE } from '../../model/order.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { assertAddressSpaceFor, loadBackend } from '../../worker/compute/backends/load.ts';
import { clusterOutputs, loadMap, logDensities } from '../../worker/compute/mlp.ts';
import { encodeRows, transformRows } from '../../worker/rows.ts';
import { openForModel } from '../rows-for-model.ts';
import { columnWatch, largestOf, readTrainedModel, type TrainedModel } from '../trained-model.ts';

/** The model of a finished run applied to rows: on a backend in this process, piece by piece. It reads the run directory, and knows neither trainer nor coordinator. */

export interface PredictInput {
  /** The directory of a finished run. */
  run: string;
  /** Its model, if that has been read, with what `details` and `map` need. */
  trained?: TrainedModel;
  /** Rows that are in a file, or the source of others. */
  data: string | Source;
  /** Responsibilities too. */
  soft: boolean;
  /** How sure the labels are, and how far rows lie from the centres; and where they are on the map. */
  details?: boolean;
  /** Where rows are on the map. */
  map?: boolean;
  /** The components of rows. */
  components?: boolean;
  /** So many of the first clusters may have rows, which others then never get; all by default. */
  units?: number;
  /** Images that cannot be decoded are left out. */
  skipBad?: boolean;
  /** Says what differs from the run. */
  log: (line: string) => void;
  /** Says how far reading is. */
  status?: (text: string) => void;
  signal?: AbortSignal;
}

/** A run's model on a backend: labels raw rows. */
export type Labeller = Awaited<ReturnType<typeof loadLabeller>>;
/** Labels of rows, and what else was asked for. */
export type RowLabels = Awaited<ReturnType<Labeller['label']>>;

/**
 * Loads a trained model on the backend of its run, or on wasm where this machine has not got that one. `details`: also what measures distances, `map`: also
 * what places rows on it, if they were read.
 * `units`: so many of the first clusters may have rows; all by default. The caller has to close it.
 */
export async function loadLabeller(
  trained: TrainedModel,
  {
    details,
    map: hasMap = false,
    components: hasComponents = false,
    units,
    log,
  }: {
    details: boolean;
    map?: boolean;
    components?: boolean;
    units?: number;
    log: (line: string) => void;
  },
) {
  const { transform, encoder, classifier, byMixture, groups, k, noise, backendName } = trained;
  assertAddressSpaceFor('wasm');
  const backend = await loadBackend(backendName).catch((error) => {
    if (!(error instanceof UserError)) throw error;
    log(`dpmesh: on wasm, and a row at an edge may get another label than in the run: ${error.message}`);
    return loadBackend('wasm');
  });
  // Components are in the order of their clusters.
  if (units !== undefined)
    classifier
      .at(-1)!
      .values.fill(CLOSED, groups ? groups.filter((cluster) => cluster < units).length : units);
  const upload = (parts: typeof classifier) =>
    parts.map(({ values, shape }) => backend.upload(values, shape));
  const measured = details ? trained.measured : null;
  const densities = measured?.densities;
  const layers = upload(classifier);
  const map = hasMap && trained.mapNet ? loadMap(backend, trained.mapNet) : null;
  const encoding = encoder && upload(encoder.layers);
  return {
    /** The number of clusters of the model. */
    k,
    /** Of the distances of the run's rows, by cluster; null without `details`. */
    quantiles: measured?.quantiles ?? null,
    /** The optional columns that there are. */
    has: { component: hasComponents, log_density: Boolean(densities), map: map !== null },
    /** A row has the same bits beside whatever other rows; else they may depend on how many are labelled at once. */
    isRowwise: backendOfIdentity(backend.identity) === 'wasm',
    /**
     * Labels of raw rows, by the numbers of clusters, their components if those were asked for, and which rows are outliers, 1 or 0, if the run has some. With `soft` also responsibilities, K a
     * row (where there is noise, its share is what they lack to 1, and the label of its rows −1); with `details` these, distances from the centres of the rows' clusters, and log densities. `placed`: also where
     * rows are on the map.
     */
    async label(raw: Float32Array, soft: boolean, placed = true) {
      const codes = encoding ? await encodeRows(backend, encoding, encoder!.input, raw) : raw;
      const { scaled, rows, outliers } = await transformRows(backend, transform, codes);
      const outputs = clusterOutputs(backend, layers, byMixture, scaled);
      const best = await backend.argmaxRows(outputs.at(-1)!);
      const r = soft || details || groups || noise ? backend.softmaxRows(outputs.at(-1)!, 0) : null;
      const own = r && (await backend.read(r));
      const found = groups ? rowClusters(best, own!, groups) : null;
      // A row so far from all clusters that its densities are 0.
      for (const [i, label] of own && !found ? best.entries() : [])
        if (Number.isNaN(own![i * k]))
          own!.fill(0, i * k, (i + 1) * k).fill(1, i * k + label, i * k + label + 1);
      const components = found?.components ?? best;
      const distance = measured && distancesFrom(measured.centres, rows, components);
      const by = noise ? { offset: noise.offset } : densities;
      const dense = by ? await logDensities(backend, by, outputs.at(-1)!, rows, components) : null;
      const clusters = { labels: best, responsibilities: own!, components, ...found };
      const inNoise = noise && withNoise(clusters, dense!, noise.logDensity);
      const labels = inNoise ? inNoise.labels.map((label) => (label < k ? label : NOISE)) : clusters.labels;
      const component = hasComponents
        ? components.map((own, i) => (labels[i] === NOISE ? NOISE : own))
        : null;
      const responsibilities = inNoise
        ? firstColumns(inNoise.responsibilities, k + 1, k)
        : clusters.responsibilities;
      const log_density = densities ? (inNoise?.logDensities ?? dense) : null;
      const places = map && placed ? await map.place(scaled) : null;
      backend.free(scaled, ...outputs, ...(r ? [r] : []));
      return { labels, component, responsibilities, outliers, distance, log_density, map: places };
    },
    close() {
      map?.free();
      backend.free(...layers, ...(encoding ?? []));
    },
  };
}

/** A run's model, and the rows of a file that it can label. */
export type Predictor = Awaited<ReturnType<typeof openPredictor>>;
/** A piece of its labels. */
export type LabelledPiece = RowLabels & { start: number };

/** Loads the model and opens the data. UserError where the run is not finished, or the data do not fit it. */
export async function openPredictor(input: PredictInput) {
  const {
    run,
    data,
    soft,
    details = false,
    map = details,
    components,
    units,
    skipBad = false,
    log,
    status,
    signal,
  } = input;
  const trained = input.trained ?? readTrainedModel(run, { details, map });
  const { transform, names, table, moments } = trained;
  const name = typeof data === 'string' ? data : 'data';
  const warn = (message: string) => log(`dpmesh: warning: ${message}`);
  const source = await openForModel(trained, run, data, { skipBad, log, warn, status, signal });
  try {
    const largest = largestOf(trained);
    const { k, quantiles, has, label, close } = await loadLabeller(trained, {
      ...{ details, map, components, units, log },
    });
    const pieces = (source.rows ? ranges(source.rows, FORWARD_ROWS) : []).map(({ from, to }) => ({
      start: from,
      count: to - from,
    }));
    // Columns that both have names for were found by them.
    const watch = moments && !source.shape && !(source.names && names) ? columnWatch(moments) : null;
    return {
      rows: source.rows,
      /** The paths of images below their folder, by row; null for other data. */
      images: source.images ?? null,
      /** What names the rows: the texts of the column that named those of the run, if the data have it. */
      texts: source.texts,
      /** That column, or the one by which the data name their rows; null where there is none. */
      id: table.id ?? source.id ?? null,
      /** The quantile of `--outliers`. */
      outliers: trained.outliers,
      /** The dimensions of Gaussian clusters, whose distances say how sure labels are; null with the graph likelihood. */
      gaussian: trained.isGaussian ? transform.dim : null,
      quantiles,
      has,
      k,
      /** The labels of clusters, by their numbers; null: these. */
      ids: trained.ids,
      /** All rows, in pieces and in their order: the same bits as the run's own on its own data, before these are ids. */
      async *pieces(): AsyncGenerator<LabelledPiece> {
        let start = 0;
        for await (const raw of readSpans(source, pieces)) {
          // Signals arrive between two turns of the event loop.
          await yieldToEventLoop();
          signal?.throwIfAborted();
          const bad = raw.findIndex((value) => !(Math.abs(value) <= largest));
          if (bad >= 0) throw await unusable(source, start + Math.floor(bad / source.dim), name, largest);
          watch?.add(raw);
          const rows = raw.length / source.dim;
          yield { start, ...(await label(raw, soft)) };
          start += rows;
        }
        await source.assertSameFile?.();
        const moved = watch?.moved();
        if (moved) warn(movedText(name, moved, run));
      },
      close() {
        close();
        source.close();
      },
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

const MOST_MOVED = 4;

function movedText(name: string, moved: Map<number, number>, run: string): string {
  const texts = [...moved].map(([from, to]) => `column ${from + 1} like column ${to + 1}`);
  const some = texts.slice(0, MOST_MOVED);
  const more = moved.size > MOST_MOVED ? ', …' : '';
  return `${name} looks as if its columns were in another order than those of the run ${run} (${some.join(', ')}${more}): without names they are taken in that of the run`;
}

async function unusable(source: Source, row: number, data: string, largest: number): Promise<UserError> {
  const { where, isLarge } = await diagnoseRow(source, row, largest);
  const what = isLarge
    ? `a value larger than the supported maximum (${formatNumber(largest)}); remove the row`
    : 'NaN or infinite values; remove the row or fill them';
  return new UserError(`${data}: ${where} has ${what}`);
}
