import type { ColumnMap, Transform } from '../../data/transform.ts';
import { encoderLayers } from '../../model/nets/autoencoder.ts';
import type { Net } from '../../model/nets/net.ts';
import { bytesOf } from '../../proto/tensors.ts';
import type { Encoder } from '../encoder/encoder.ts';

interface SavedLayer {
  class_name: string;
  config: { name: string; [setting: string]: unknown };
  weights: { name: string; shape: number[]; values: Float32Array }[];
}

/**
 * The clustering net as a TensorFlow.js layers model, input transform included: raw rows in, responsibilities out.
 * (`normalize` is only included if columns are moved before it; else rows must be scaled to unit length first.) Built by
 * hand because the coordinator does not load a tensor library.
 */
export function layersModel(
  net: Net,
  transform: Transform,
  encoder: Encoder | null = null,
): { json: object; weights: Buffer } {
  const { before } = transform;
  const input = encoder ? encoder.widths[0] : transform.input;
  const layers = [
    ...(encoder ? encodingLayers(encoder) : []),
    ...(before ? unitLayers(before, transform.input) : []),
    dense('transform', kernelOf(transform), transform.bias, 'linear'),
    ...net.params.flatMap((kernel, i) => {
      if (i % 2) return [];
      const last = i === net.params.length - 2;
      const name = last ? 'clusters' : `hidden_${i / 2 + 1}`;
      return [dense(name, kernel, net.params[i + 1], last ? 'linear' : 'relu')];
    }),
    // A separate layer: without a softmax, a Dense layer fuses bias and product, as the workers do.
    { class_name: 'Softmax', config: { name: 'responsibilities', axis: -1 }, weights: [] },
  ];
  const topology = {
    class_name: 'Sequential',
    config: {
      name: 'dpmesh',
      layers: layers.map(({ class_name, config }, i) => ({
        class_name,
        config: { ...config, ...(i === 0 && { batch_input_shape: [null, input] }) },
      })),
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

/** The encoder, up to the code. */
function encodingLayers(encoder: Encoder): SavedLayer[] {
  const layers = encoderLayers(encoder);
  const code = layers.length - 2;
  return [
    columnLayer('encoder_input', encoder.input),
    ...layers.flatMap(({ values }, i) => {
      if (i % 2) return [];
      const name = i === code ? 'code' : `encoder_${i / 2 + 1}`;
      return [dense(name, values, layers[i + 1].values, i === code ? 'linear' : 'relu')];
    }),
  ];
}

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
    { class_name: 'Reshape', config: { name: 'numbers', target_shape: [input, 1] }, weights: [] },
    {
      class_name: 'Dense',
      config: { name: 'negatives', units: 2, activation: 'linear', use_bias: false, ...SETTINGS },
      weights: [{ name: 'negatives/kernel', shape: [1, 2], values: Float32Array.of(1, -1) }],
    },
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
    {
      class_name: 'Dense',
      config: { name: 'unit_numbers', units: 1, activation: 'linear', use_bias: false, ...SETTINGS },
      weights: [{ name: 'unit_numbers/kernel', shape: [2, 1], values: Float32Array.of(half, -half) }],
    },
    { class_name: 'Reshape', config: { name: 'unit_rows', target_shape: [input] }, weights: [] },
  ];
}

/** The transform's kernel [input,dim]; with `columns`, each output depends on one input column only. */
function kernelOf({ input, dim, columns, weights }: Transform): Float32Array {
  if (!columns) return weights;
  const kernel = new Float32Array(input * dim);
  columns.forEach((column, d) => {
    kernel[column * dim + d] = weights[d];
  });
  return kernel;
}
