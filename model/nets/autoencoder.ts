import { elementCount } from '../arrays.ts';
import { generator, type Seed } from '../random.ts';
import { netShapes, unflatten } from './net.ts';

/**
 * An auto-encoder D → hidden … → latent → … hidden → D as flat float32 arrays W₁, b₁, W₂, b₂, … (docs/algorithm.md, section 12):
 * ReLU after each layer but the code and the output.
 */
export interface Autoencoder {
  /** Of all layers: D, those of the encoder, the latent one, those of the decoder, D. */
  readonly widths: readonly number[];
  readonly params: Float32Array;
}

/** The layer widths for rows of `d` columns; the decoder mirrors the encoder. */
export const autoencoderWidths = (d: number, hidden: readonly number[], latent: number): number[] => [
  ...[d, ...hidden, latent],
  ...[...hidden].reverse(),
  d,
];

/** Are these the layer widths of an auto-encoder for rows of `d` columns? */
export const areAutoencoderWidths = (widths: readonly number[], d: number): boolean =>
  widths.length >= 3 &&
  widths.length % 2 === 1 &&
  widths[0] === d &&
  widths.every((width, l) => width >= 1 && width === widths.at(-1 - l));

/** The layer (0 is the first) whose output is the latent vector. */
export const codeLayer = (widths: readonly number[]) => (widths.length - 1) / 2 - 1;

/** Numbers in a latent vector. */
export const codeWidth = (widths: readonly number[]) => widths[codeLayer(widths) + 1];

/**
 * The initial one: weights and biases uniform in ±1/√fan-in, as PyTorch's linear layers have them by default. With weights
 * N(0, 2/fan-in) (He et al., ICCV 2015) MNIST has twice the error after two passes.
 */
export function initialAutoencoder(seed: Seed, widths: readonly number[]): Autoencoder {
  const rng = generator(seed, 'encoder');
  const shapes = netShapes([...widths], 0);
  const params = new Float32Array(shapes.reduce((sum, shape) => sum + elementCount(shape), 0));
  let at = 0;
  for (const [i, shape] of shapes.entries()) {
    const bound = 1 / Math.sqrt(widths[Math.floor(i / 2)]);
    for (const end = at + elementCount(shape); at < end; at++) params[at] = bound * (2 * rng.uniform() - 1);
  }
  return { widths, params };
}

/** The layers up to the latent one, W and b in turn, with their shapes: views of `params`. */
export function encoderLayers({ widths, params }: Autoencoder): { values: Float32Array; shape: number[] }[] {
  const layers: { values: Float32Array; shape: number[] }[] = [];
  let at = 0;
  for (const shape of netShapes(widths.slice(0, codeLayer(widths) + 2), 0)) {
    const size = elementCount(shape);
    layers.push({ values: params.subarray(at, at + size), shape });
    at += size;
  }
  return layers;
}

/** The layers from the code on: views of `params`. */
export function decoderNet({ widths, params }: Autoencoder): { params: Float32Array[]; shapes: number[][] } {
  const encoder = encoderLayers({ widths, params }).reduce((sum, { values }) => sum + values.length, 0);
  const shapes = netShapes(widths.slice(codeLayer(widths) + 1), 0);
  return { params: unflatten(params.subarray(encoder), shapes), shapes };
}

/** Epochs in which the learning rate rises, and how far it is at the first step. */
const [WARM_UP, FIRST] = [0.5, 0.002];

/**
 * The learning rate after `done` of `total` epochs: it rises to `rate`, and falls along half a cosine to 0 (Loshchilov & Hutter, ICLR
 * 2017). Otherwise, the first steps would move all weights by the full rate, however small their gradients.
 */
export const rateAfter = (rate: number, done: number, total: number) =>
  (Math.min(1, (done + FIRST) / WARM_UP) * rate * (1 + Math.cos((Math.PI * Math.min(done, total)) / total))) /
  2;
