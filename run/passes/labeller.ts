import { backendOfIdentity } from '../../base/identity.ts';
import { UserError } from '../../base/user-error.ts';
import { firstColumns } from '../../model/arrays.ts';
import { distancesFrom } from '../../model/description/distances.ts';
import { CLOSED, rowClusters } from '../../model/gaussian/components.ts';
import { withNoise } from '../../model/gaussian/noise.ts';
import { NOISE } from '../../model/order.ts';
import { assertAddressSpaceFor, loadBackend } from '../../worker/compute/backends/load.ts';
import { clusterOutputs, loadMap, logDensities } from '../../worker/compute/mlp.ts';
import { encodeRows, transformRows } from '../../worker/rows.ts';
import type { TrainedModel } from '../trained-model.ts';

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
    /** The labels of clusters, by their numbers; null: these. */
    ids: trained.ids,
    /** The dimensions of Gaussian clusters, whose distances say how sure labels are; null with the graph likelihood. */
    gaussian: trained.isGaussian ? transform.dim : null,
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
