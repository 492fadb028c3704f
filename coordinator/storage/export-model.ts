import type { Transform } from '../../data/transform.ts';
import type { Net } from '../../model/net.ts';
import { bytesOf } from '../../proto/tensors.ts';

/**
 * The clustering net as a TensorFlow.js layers model, input transform included: raw rows in, responsibilities out.
 * (`normalize` is not included: its rows must be scaled to unit length first.) Built by hand because the coordinator does
 * not load a tensor library.
 */
export function layersModel(net: Net, transform: Transform): { json: object; weights: Buffer } {
  const { input, dim } = transform;
  const layers = [
    {
      name: 'transform',
      kernel: kernelOf(transform),
      bias: transform.bias,
      units: dim,
      activation: 'linear',
    },
    ...net.params.flatMap((kernel, i) => {
      if (i % 2) return [];
      const last = i === net.params.length - 2;
      return [
        {
          name: last ? 'clusters' : `hidden_${i / 2 + 1}`,
          kernel,
          bias: net.params[i + 1],
          units: net.shapes[i][1],
          activation: last ? 'linear' : 'relu',
        },
      ];
    }),
  ];
  const topology = {
    class_name: 'Sequential',
    config: {
      name: 'dpmesh',
      layers: [
        ...layers.map(({ name, units, activation }, i) => ({
          class_name: 'Dense',
          config: {
            name,
            units,
            activation,
            use_bias: true,
            trainable: true,
            dtype: 'float32',
            ...(i === 0 && { batch_input_shape: [null, input] }),
          },
        })),
        // A separate layer: without a softmax, a Dense layer fuses bias and product, as the workers do.
        { class_name: 'Softmax', config: { name: 'responsibilities', axis: -1 } },
      ],
    },
    keras_version: 'tfjs-layers 4.22.0',
    backend: 'tensor_flow.js',
  };
  const weights = layers.flatMap(({ name, kernel, bias, units }) => [
    { name: `${name}/kernel`, shape: [kernel.length / units, units], dtype: 'float32' },
    { name: `${name}/bias`, shape: [bias.length], dtype: 'float32' },
  ]);
  return {
    json: {
      format: 'layers-model',
      generatedBy: 'dpmesh',
      convertedBy: null,
      modelTopology: topology,
      weightsManifest: [{ paths: ['weights.bin'], weights }],
    },
    weights: Buffer.concat(layers.flatMap(({ kernel, bias }) => [bytesOf(kernel), bytesOf(bias)])),
  };
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
