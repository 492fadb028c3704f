import type { Atoms, ColumnMap } from '../../data/steps/linear.ts';
import type { Transform } from '../../data/transform.ts';
import { clusterCount, type Groups, memberships } from '../../model/gaussian/components.ts';
import { backgroundLast } from '../../model/gaussian/densities.ts';
import type { Densities } from '../../model/gaussian/estep.ts';
import type { Layer } from '../../model/nets/net.ts';
import type { Classifier } from '../../model/state.ts';
import { bytesOf } from '../../proto/tensors.ts';
import type { TrainedModel } from '../trained-model.ts';

/** A trained model as a TensorFlow.js layers model, built by hand: no tensor library is loaded for it. */

interface SavedLayer {
  class_name: string;
  config: { name: string; [setting: string]: unknown };
  weights: { name: string; shape: number[]; values: Float32Array }[];
  /** How often it takes the output of the layer before; once if it does not say so. */
  inputs?: number;
}

/**
 * What labels rows as a TensorFlow.js layers model, input transform included: raw rows in, responsibilities out.
 * (`normalize` is only included if columns are moved before it; else rows must be scaled to unit length first.)
 */
export function layersModel(
  by: Classifier,
  transform: Transform,
  encoder: TrainedModel['encoder'] = null,
): { json: object; weights: Buffer } {
  const { before } = transform;
  const input = encoder ? encoder.input.factor.length : transform.input;
  const rows = { name: 'rows', batch_input_shape: [null, input], dtype: 'float32', sparse: false };
  const layers: SavedLayer[] = [
    { class_name: 'InputLayer', config: rows, weights: [], inputs: 0 },
    ...(encoder ? encodingLayers(encoder) : []),
    ...(before ? unitLayers(before, transform.input) : []),
    ...(transform.atoms ? atomLayers(transform.atoms, transform.input) : []),
    dense('transform', kernelOf(transform), transform.bias, 'linear'),
    ...('mixture' in by
      ? densityLayers(backgroundLast(by.mixture, by.background, transform.scale))
      : netLayers(by.net)),
    // A separate layer: without a softmax, a Dense layer fuses bias and product, as the workers do.
    { class_name: 'Softmax', config: { name: 'responsibilities', axis: -1 }, weights: [] },
    ...('groups' in by && by.groups ? [groupLayer(by.groups, by.background !== undefined)] : []),
  ];
  const topology = {
    class_name: 'Model',
    config: {
      name: 'dpmesh',
      layers: layers.map(({ class_name, config, inputs = 1 }, i) => ({
        ...{ name: config.name, class_name, config },
        inbound_nodes: inputs ? [Array(inputs).fill([layers[i - 1].config.name, 0, 0, {}])] : [],
      })),
      input_layers: [[rows.name, 0, 0]],
      output_layers: [[layers.at(-1)!.config.name, 0, 0]],
    },
    keras_version: 'tfjs-layers 4.22.0',
    backend: 'tensor_flow.js',
  };
  const weights = layers.flatMap((layer) => layer.weights);
  return {
    json: {
      format: 'layers-model',
      generatedBy: 'dpmesh',
      convertedBy: null,
      modelTopology: topology,
      weightsManifest: [
        {
          paths: ['weights.bin'],
          weights: weights.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })),
        },
      ],
    },
    weights: Buffer.concat(weights.map(({ values }) => bytesOf(values))),
  };
}

const SETTINGS = { trainable: true, dtype: 'float32' };

function dense(name: string, kernel: Float32Array, bias: Float32Array, activation: string): SavedLayer {
  const units = bias.length;
  return {
    class_name: 'Dense',
    config: { name, units, activation, use_bias: true, ...SETTINGS },
    weights: [
      { name: `${name}/kernel`, shape: [kernel.length / units, units], values: kernel },
      { name: `${name}/bias`, shape: [units], values: bias },
    ],
  };
}

const netLayers = (net: readonly Layer[]): SavedLayer[] =>
  net.map(({ weights, bias }, i) =>
    i === net.length - 1
      ? dense('clusters', weights, bias, 'linear')
      : dense(`hidden_${i + 1}`, weights, bias, 'relu'),
  );

/** constant_k − ½‖u_k‖² with u = y·weights + bias: log-densities, up to a constant that is the same for all clusters. */
function densityLayers({ weights, bias, constant }: Densities): SavedLayer[] {
  const { length: k } = constant;
  const d = bias.length / k;
  return [
    dense('whitened', weights, bias, 'linear'),
    { class_name: 'Multiply', config: { name: 'squares' }, weights: [], inputs: 2 },
    reshape('squares_by_cluster', [k, d]),
    product('half_sums', [d, 1], Array(d).fill(-0.5)),
    reshape('exponents', [k]),
    columnLayer('clusters', { factor: new Float32Array(k).fill(1), shift: constant }),
  ];
}

/** Sums the responsibilities of the components of each cluster; noise is the last, of the last one. */
function groupLayer(clusters: Groups, hasNoise: boolean): SavedLayer {
  const groups = hasNoise ? Int32Array.of(...clusters, clusterCount(clusters.length, clusters)) : clusters;
  const values = memberships(groups);
  return product('members', [groups.length, values.length / groups.length], values);
}

const reshape = (name: string, target_shape: number[]): SavedLayer => ({
  ...{ class_name: 'Reshape', config: { name, target_shape }, weights: [] },
});

/** Moves and scales columns. */
function columnLayer(name: string, { factor, shift }: ColumnMap): SavedLayer {
  const { length } = factor;
  return {
    class_name: 'BatchNormalization',
    config: { name, axis: -1, epsilon: 0, ...SETTINGS },
    weights: [
      { name: `${name}/gamma`, shape: [length], values: factor },
      { name: `${name}/beta`, shape: [length], values: shift },
      { name: `${name}/moving_mean`, shape: [length], values: new Float32Array(length) },
      { name: `${name}/moving_variance`, shape: [length], values: new Float32Array(length).fill(1) },
    ],
  };
}

/** The encoder, up to the latent layer. */
function encodingLayers({ input, layers }: NonNullable<TrainedModel['encoder']>): SavedLayer[] {
  const code = layers.length - 2;
  return [
    columnLayer('encoder_input', input),
    ...layers.flatMap(({ values }, i) => {
      if (i % 2) return [];
      const name = i === code ? 'code' : `encoder_${i / 2 + 1}`;
      return [dense(name, values, layers[i + 1].values, i === code ? 'linear' : 'relu')];
    }),
  ];
}

/** A dense layer of a kernel alone. */
const product = (name: string, shape: [number, number], values: ArrayLike<number>): SavedLayer => ({
  class_name: 'Dense',
  config: { name, units: shape[1], activation: 'linear', use_bias: false, ...SETTINGS },
  weights: [{ name: `${name}/kernel`, shape, values: Float32Array.from(values) }],
});

/** As small as float32 divides by: for rows of zeros only. */
const EPSILON = 1e-36;

/**
 * Rows moved and scaled to unit length. No layer of TensorFlow.js scales to unit length, but LayerNormalization divides by the
 * standard deviation about the mean: with its negative beside each number of a row u of D numbers the mean is 0, and the
 * standard deviation ‖u‖/√D. The last bits may differ from those of the workers.
 */
function unitLayers(map: ColumnMap, input: number): SavedLayer[] {
  const half = 0.5 / Math.sqrt(input);
  return [
    columnLayer('columns', map),
    reshape('numbers', [input, 1]),
    product('negatives', [1, 2], [1, -1]),
    {
      class_name: 'LayerNormalization',
      config: {
        name: 'deviations',
        axis: [1, 2],
        epsilon: EPSILON,
        center: false,
        scale: false,
        ...SETTINGS,
      },
      weights: [],
    },
    product('unit_numbers', [2, 1], [half, -half]),
    reshape('unit_rows', [input]),
  ];
}

/** By this factor any difference is 1 or more. */
const HUGE = 2 ** 100;

/** Rows with further columns: 0 where a column has exactly this value, else 1, as 1 − max(0, 1 − HUGE·|x − value|). */
function atomLayers({ columns, values }: Atoms, input: number): SavedLayer[] {
  const a = columns.length;
  const layer = (
    name: string,
    rows: number,
    shift: number[],
    entries: [number, number, number][],
    activation: string,
  ) => {
    const kernel = new Float32Array(rows * shift.length);
    for (const [from, to, value] of entries) kernel[from * shift.length + to] = value;
    return dense(name, kernel, Float32Array.from(shift), activation);
  };
  const numbers = Array.from({ length: input }, (_, i) => i);
  const zeros = Array<number>(2 * input).fill(0);
  const own = [...values];
  return [
    layer(
      'atoms_1',
      input,
      [...zeros, ...own.flatMap((value) => [-value, value])],
      [
        ...numbers.flatMap((i): [number, number, number][] => [
          [i, 2 * i, 1],
          [i, 2 * i + 1, -1],
        ]),
        ...own.flatMap((_, j): [number, number, number][] => [
          [columns[j], 2 * (input + j), 1],
          [columns[j], 2 * (input + j) + 1, -1],
        ]),
      ],
      'relu',
    ),
    layer(
      'atoms_2',
      2 * (input + a),
      [...zeros, ...own.map(() => 1)],
      [
        ...zeros.map((_, i): [number, number, number] => [i, i, 1]),
        ...own.flatMap((_, j): [number, number, number][] =>
          [0, 1].map((side) => [2 * (input + j) + side, 2 * input + j, -HUGE]),
        ),
      ],
      'relu',
    ),
    layer(
      'atoms_3',
      2 * input + a,
      [...numbers.map(() => 0), ...own.map(() => 1)],
      [
        ...numbers.flatMap((i): [number, number, number][] => [
          [2 * i, i, 1],
          [2 * i + 1, i, -1],
        ]),
        ...own.map((_, j): [number, number, number] => [2 * input + j, input + j, -1]),
      ],
      'linear',
    ),
  ];
}

/** The transform's kernel [input,dim]; with `columns`, each output depends on one input column only. */
function kernelOf({ input, dim, columns, weights, atoms }: Transform): Float32Array {
  if (!columns) return weights;
  const kernel = new Float32Array((input + (atoms?.columns.length ?? 0)) * dim);
  columns.forEach((column, d) => {
    kernel[column * dim + d] = weights[d];
  });
  return kernel;
}
