import { generator } from './random.ts';

/**
 * A ReLU multi-layer perceptron with Adam's state, as flat row-major arrays in the order W₁, b₁, W₂, b₂, …; or K of
 * the same shape, each array with a leading axis K.
 */
export interface Net {
  readonly shapes: readonly (readonly number[])[];
  readonly params: Float32Array[];
  /** Adam's first and second moments. */
  readonly first: Float32Array[];
  readonly second: Float32Array[];
  /** Steps that Adam has taken. */
  readonly steps: number;
}

/** Width of the one hidden layer of a sub-clustering net. */
const SUB_HIDDEN = 50;

/** D → hidden … → K. Hidden weights are normal/√fan-in, the last layer's a tenth of a normal, biases zero. */
export function clusteringNet(seed: bigint, d: number, hidden: number[], k: number): Net {
  const widths = [d, ...hidden, k];
  const rng = generator(seed, 'clustering-net');
  const shapes = layerShapes(widths);
  const params = shapes.map((shape, i) => {
    const values = new Float32Array(sizeOf(shape));
    if (i % 2) return values;
    const scale = i === shapes.length - 2 ? 0.1 : 1 / Math.sqrt(shape[0]);
    return values.map(() => rng.normal() * scale);
  });
  return { shapes, params, first: params.map(zeros), second: params.map(zeros), steps: 0 };
}

/** K nets D → 50 → 2, weights uniform(−1,1)/√fan-in, biases zero. */
export function subNets(seed: bigint, d: number, k: number, epoch = 0): Net {
  const shapes = netShapes([d, SUB_HIDDEN, 2], k);
  const params = shapes.map((shape) => new Float32Array(sizeOf(shape)));
  for (let c = 0; c < k; c++) freshSubNet(seed, params, k, c, epoch);
  return { shapes, params, first: params.map(zeros), second: params.map(zeros), steps: 0 };
}

/** Draws net c of K anew, in place. */
export function freshSubNet(seed: bigint, params: Float32Array[], k: number, c: number, epoch: number): void {
  const rng = generator(seed, 'sub-net', epoch, c);
  params.forEach((values, i) => {
    const size = values.length / k;
    const fanIn = Math.sqrt(i === 0 ? size / SUB_HIDDEN : SUB_HIDDEN);
    for (let j = c * size; j < (c + 1) * size; j++) values[j] = i % 2 ? 0 : (2 * rng.uniform() - 1) / fanIn;
  });
}

/** The arrays of one net or of K stacked ones, one after the other. */
export function flatten(arrays: Float32Array[]): Float32Array {
  const out = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const values of arrays) {
    out.set(values, at);
    at += values.length;
  }
  return out;
}

/** The reverse, as views of `flat`. */
export function parted<A extends Float32Array | Float64Array>(
  flat: A,
  shapes: readonly (readonly number[])[],
): A[] {
  let at = 0;
  return shapes.map((shape) => flat.subarray(at, (at += sizeOf(shape))) as A);
}

export const netSize = (shapes: readonly (readonly number[])[]) =>
  shapes.reduce((sum, shape) => sum + sizeOf(shape), 0);

/** Shapes of the arrays of a net of these widths; of `nets` stacked ones if that is not 0. */
export const netShapes = (widths: number[], nets: number): number[][] =>
  layerShapes(widths).map((shape) => (nets ? [nets, ...shape] : shape));

/** The reverse: D, each hidden layer's, K. */
export const netWidths = (shapes: readonly (readonly number[])[]): number[] => [
  shapes[0].at(-2)!,
  ...shapes.filter((_, i) => i % 2).map((shape) => shape.at(-1)!),
];

function layerShapes(widths: number[]): number[][] {
  return widths.slice(1).flatMap((width, l) => [[widths[l], width], [width]]);
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const zeros = (values: Float32Array) => new Float32Array(values.length);
