import { stepsOf } from '../../data/transform.ts';
import { concat } from '../../model/arrays.ts';
import type { RowDensities } from '../../model/description/densities.ts';
import type { Centres } from '../../model/description/distances.ts';
import type { MapNet } from '../../model/graph/map-net.ts';
import { diagonalOf } from '../../model/linalg.ts';
import { codeLayer, encoderLayers } from '../../model/nets/autoencoder.ts';
import type { Layer } from '../../model/nets/net.ts';
import { type Classifier, classifierOf, type State } from '../../model/state.ts';
import type { ModelSteps } from '../../model/steps.ts';
import type { DataMoments } from '../../run/data-moments.ts';
import type { Encoder } from '../../run/encoding.ts';
import { encodeModel, LAYERS, MODEL } from '../../run/model-file.ts';
import { layersModel } from '../../run/passes/tfjs-model.ts';
import type { RunDirectory } from '../../run/run-directory.ts';
import type { Prepared } from './run-context.ts';

/** `model.safetensors` of a run: what labels rows, as steps (model/steps.ts); and the same for TensorFlow.js. */

/** What columns are like, roughly. */
const savedMoments = (mean: Float64Array, variance: Float64Array) => ({
  mean: mean.map(roughly),
  deviation: variance.map((value) => roughly(Math.sqrt(Math.max(0, value)))),
});
const roughly = (value: number) => Number(value.toPrecision(6));

/** What a model's file has beside what labels rows. */
export interface DescribedRows {
  /** From where the distances of rows are measured, by component, and their quantiles, by cluster. */
  centres: Centres;
  quantiles: Float32Array;
  /** What log densities are computed by; null of a graph. */
  densities: RowDensities | null;
  /** What places rows on the map. */
  map: MapNet;
}

/**
 * Writes the model. `names`: of the columns of the data; null where they have none. Moments are of what is clustered; `logged`: columns that
 * are known by their logarithms.
 */
export function writeModel(
  { transform, config }: Pick<Prepared, 'transform' | 'config'>,
  state: State,
  { names, logged = [] }: { names: readonly string[] | null; logged?: readonly number[] },
  encoder: Encoder | null,
  { mean, covariance }: DataMoments['moments'],
  { centres, quantiles, densities, map }: DescribedRows,
  out: Pick<RunDirectory, 'stream'>,
): void {
  const by = classifierOf(config.schedule, state, transform.scale);
  const { axes, shift, units, places } = map;
  const model: ModelSteps = {
    // Else they are of latent vectors.
    ...(encoder
      ? { encode: savedEncoder(encoder) }
      : { moments: savedMoments(mean, diagonalOf(covariance, mean.length)) }),
    ...(logged.length && { log: { columns: Int32Array.from(logged) } }),
    ...stepsOf({ ...transform, grid: null }),
    ...('net' in by ? { net: savedNet(by.net) } : stepsOfMixture(by)),
    distances: { centres: centres.values, quantiles },
    ...(densities && stepsOfDensities(densities)),
    map: { axes, shift, units, places },
  };
  const layers = encoder && encoderLayers(encoder);
  const { json, weights } = layersModel(by, transform, layers && { input: encoder!.input, layers });
  const files = [
    [MODEL, encodeModel({ model, names })],
    [LAYERS.topology, [Buffer.from(JSON.stringify(json))]],
    [LAYERS.weights, [weights]],
  ] as const;
  for (const [name, parts] of files) {
    const file = out.stream(name);
    for (const part of parts) file.write(part);
    file.finish();
  }
}

const savedNet = (layers: readonly Layer[]) => ({
  widths: Int32Array.of(layers[0].rows, ...layers.map(({ cols }) => cols)),
  params: concat(
    layers.flatMap(({ weights, bias }) => [weights, bias]),
    Float32Array,
  ),
});

/** The layers up to the latent one, and what is done to rows before. */
const savedEncoder = (encoder: Encoder) => ({
  ...encoder.input,
  widths: Int32Array.from(encoder.widths.slice(0, codeLayer(encoder.widths) + 2)),
  params: concat(
    encoderLayers(encoder).map(({ values }) => values),
    Float32Array,
  ),
});

const stepsOfMixture = ({
  mixture,
  groups,
  background,
}: Extract<Classifier, { mixture: unknown }>): ModelSteps => {
  const { weights, bias, constant } = mixture;
  return {
    mixture: { weights, bias, constant },
    ...(groups && { groups: { cluster: groups } }),
    ...(background && {
      background: {
        weight: Float64Array.of(background.weight),
        logDensity: Float64Array.of(background.logDensity),
      },
    }),
  };
};

const stepsOfDensities = (by: RowDensities): ModelSteps =>
  'offset' in by
    ? { densityOffset: { offset: Float64Array.of(by.offset) } }
    : { densities: { constants: by.constants, rows: by.centres.values } };
