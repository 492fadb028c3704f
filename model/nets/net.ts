import { elementCount } from '../arrays.ts';
import { generator, type Seed } from '../random.ts';

/** ReLU nets as flat arrays: initial weights, forward pass, Adam, and averages over shards. The definition in plain loops; fast forms are in worker/compute/. */

/**
 * A ReLU multi-layer perceptron and Adam's state, as flat row-major arrays in the order W₁, b₁, W₂, b₂, …
 * (docs/algorithm.md, section 4); or K such nets stacked, each array with a leading axis K.
 */
export interface Net {
  readonly shapes: readonly (readonly number[])[];
  readonly params: Float32Array[];
  /** Adam's first and second moments. */
  readonly first: Float32Array[];
  readonly second: Float32Array[];
  /** The number of Adam steps taken so far. */
  readonly steps: number;
}

/** Width of the hidden layer of a sub-clustering net. */
const SUB_HIDDEN = 50;

/** The initial net D → hidden … → K: hidden weights N(0, 1/fan-in), output weights N(0, 0.01), biases 0. */
export function clusteringNet(seed: Seed, d: number, hidden: number[], k: number): Net {
  const widths = [d, ...hidden, k];
  const rng = generator(seed, 'clustering-net');
  const shapes = layerShapes(widths);
  const params = shapes.map((shape, i) => {
    const values = new Float32Array(elementCount(shape));
    if (i % 2) return values;
    const scale = i === shapes.length - 2 ? 0.1 : 1 / Math.sqrt(shape[0]);
    return values.map(() => rng.normal() * scale);
  });
  return { shapes, params, first: params.map(zeros), second: params.map(zeros), steps: 0 };
}

/** K stacked initial nets D → 50 → 2: weights uniform in ±1/√fan-in, biases 0. */
export function subNets(seed: Seed, d: number, k: number, epoch = 0): Net {
  const shapes = netShapes([d, SUB_HIDDEN, 2], k);
  const params = shapes.map((shape) => new Float32Array(elementCount(shape)));
  for (let c = 0; c < k; c++) initSubNet(seed, params, k, c, epoch);
  return { shapes, params, first: params.map(zeros), second: params.map(zeros), steps: 0 };
}

/** Initializes net c of the K stacked nets in place, with its own random stream for `epoch`. */
function initSubNet(seed: Seed, params: Float32Array[], k: number, c: number, epoch: number): void {
  const rng = generator(seed, 'sub-net', epoch, c);
  params.forEach((values, i) => {
    const size = values.length / k;
    const fanIn = Math.sqrt(i === 0 ? size / SUB_HIDDEN : SUB_HIDDEN);
    for (let j = c * size; j < (c + 1) * size; j++) values[j] = i % 2 ? 0 : (2 * rng.uniform() - 1) / fanIn;
  });
}

/** Views of `flat`, one for each of these shapes in turn: the inverse of `concat` on the arrays of a net. */
export function unflatten<A extends Float32Array | Float64Array>(
  flat: A,
  shapes: readonly (readonly number[])[],
): A[] {
  let offset = 0;
  return shapes.map((shape) => flat.subarray(offset, (offset += elementCount(shape))) as A);
}

/** The number of parameters of a net with arrays of these shapes. */
export const netSize = (shapes: readonly (readonly number[])[]) =>
  shapes.reduce((sum, shape) => sum + elementCount(shape), 0);

/** Array shapes of a net with these layer widths; of `nets` stacked ones, or of a single net if `nets` is 0. */
export const netShapes = (widths: number[], nets: number): number[][] =>
  layerShapes(widths).map((shape) => (nets ? [nets, ...shape] : shape));

/** The layer widths of a net with these shapes: D, each hidden layer's, K. The inverse of `netShapes`. */
export const netWidths = (shapes: readonly (readonly number[])[]): number[] => [
  shapes[0].at(-2)!,
  ...shapes.filter((_, i) => i % 2).map((shape) => shape.at(-1)!),
];

function layerShapes(widths: number[]): number[][] {
  return widths.slice(1).flatMap((width, l) => [[widths[l], width], [width]]);
}

const zeros = (values: Float32Array) => new Float32Array(values.length);

/**
 * The net after one Adam step (β₁ = 0.9, β₂ = 0.999, ε = 1e-8) on the given gradients, one array per array of
 * `net.params`. Kingma & Ba, ICLR 2015, algorithm 1.
 */
export function adamStep(net: Net, gradients: Float64Array[], rate: number): Net {
  const steps = net.steps + 1;
  const first = net.first.map((m, i) => m.map((value, j) => 0.9 * value + 0.1 * gradients[i][j]));
  const second = net.second.map((v, i) => v.map((value, j) => 0.999 * value + 0.001 * gradients[i][j] ** 2));
  const [a, b] = [1 - 0.9 ** steps, 1 - 0.999 ** steps];
  const params = net.params.map((p, i) =>
    p.map((value, j) => value - (rate * (first[i][j] / a)) / (Math.sqrt(second[i][j] / b) + 1e-8)),
  );
  return { ...net, params, first, second, steps };
}

/** The forward pass of a multi-layer perceptron as the `cpu` backend computes it: float64 sums, rounded once. */

/** y = x·weights + bias; `weights` is row-major [rows, cols]. */
export interface Layer {
  readonly rows: number;
  readonly cols: number;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** The layers of a net, or of the net with index `which` among K stacked ones. */
export function layersOf({ params, shapes }: Pick<Net, 'params' | 'shapes'>, which?: number): Layer[] {
  const paramsOf = (i: number) => {
    if (which === undefined) return params[i];
    const size = params[i].length / shapes[i][0];
    return params[i].subarray(which * size, (which + 1) * size);
  };
  return Array.from({ length: shapes.length / 2 }, (_, l) => {
    const [rows, cols] = shapes[2 * l].slice(-2);
    return { rows, cols, weights: paramsOf(2 * l), bias: paramsOf(2 * l + 1) };
  });
}

/** out[m,n] = a[m,k]·b[k,n] + bias[n], where a null bias is zero; then max(0, ·) if `relu`. */
export function product(
  a: Float32Array,
  m: number,
  k: number,
  b: Float32Array,
  n: number,
  bias: Float32Array | null,
  relu: boolean,
  out: Float32Array,
): void {
  const row = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    if (bias) row.set(bias);
    else row.fill(0);
    for (let p = 0; p < k; p++) {
      const value = a[i * k + p];
      for (let j = 0, q = p * n; j < n; j++, q++) row[j] += value * b[q];
    }
    for (let j = 0; j < n; j++) out[i * n + j] = relu && row[j] < 0 ? 0 : row[j];
  }
}

/** Outputs of the last layer for n×D rows, n×K row-major, with ReLU between the layers. */
export function logits(layers: readonly Layer[], rows: Float32Array): Float32Array {
  const n = rows.length / layers[0].rows;
  return layers.reduce((x, layer, l) => {
    const out = new Float32Array(n * layer.cols);
    product(x, n, layer.rows, layer.weights, layer.cols, layer.bias, l < layers.length - 1, out);
    return out;
  }, rows);
}

/** For each row, the column of its largest value, the first one on a tie. */
export function argmaxRows(values: Float32Array, cols: number): Int32Array {
  const out = new Int32Array(values.length / cols);
  for (let i = 0, o = 0; i < out.length; i++, o += cols) {
    let best = 0;
    let most = values[o];
    for (let j = 1; j < cols; j++) {
      const value = values[o + j];
      if (value > most) {
        best = j;
        most = value;
      }
    }
    out[i] = best;
  }
  return out;
}

/** What shards return of their local steps, summed over them: flat arrays by name, times `count` (one for each of K stacked nets). */
type StepSums = Record<string, Float64Array>;

/**
 * The net after a round of local steps, and the mean loss. Weights and moments are averaged over shards, weighted by
 * `count` (one for each of the K stacked nets); a net whose counts are all zero is unchanged.
 */
export function averageNets(net: Net, sums: StepSums, steps: number): { net: Net; loss: number } {
  return {
    loss: meanLoss(sums),
    net: {
      shapes: net.shapes,
      params: mean(net, sums, 'params', net.params),
      first: mean(net, sums, 'first', net.first),
      second: mean(net, sums, 'second', net.second),
      steps: net.steps + steps,
    },
  };
}

/** The mean gradient over shards, weighted as in `averageNets`; zero for a net whose counts are all zero. */
export function averageGradients(net: Net, sums: StepSums): { gradients: Float64Array[]; loss: number } {
  const none = net.params.map((values) => new Float32Array(values.length));
  const gradients = mean(net, sums, 'gradients', none).map((values) => Float64Array.from(values));
  return { gradients, loss: meanLoss(sums) };
}

/** Σ_s count_sc·values_sc / Σ_s count_sc of each net c, rounded once to float32. */
function mean(net: Net, sums: StepSums, name: string, fallback: Float32Array[]): Float32Array[] {
  const { count } = sums;
  return unflatten(sums[name], net.shapes).map((values, i) => {
    const size = values.length / count.length;
    return fallback[i].map((old, j) => {
      const n = count[Math.floor(j / size)];
      return n > 0 ? values[j] / n : old;
    });
  });
}

/** Over the shards that have rows: others report no loss. */
const meanLoss = ({ loss, shards }: StepSums) => loss[0] / shards[0];

/** An output unit of a resized clustering net, and the sub-clustering net of the same index. */
export interface OutputUnit {
  /** The unit of the old net that it copies. */
  from: number;
  /** Was its cluster made by a split or merge? */
  fresh: boolean;
  /** The share of the old cluster's rows that it has: 1 unless the cluster was split. */
  share: number;
}

/**
 * The clustering net with one output unit for each of `units`, with weight column and bias copied (docs/algorithm.md,
 * sections 6 and 7). The bias of a part grows by the logarithm of its share, so that the parts together have the probability
 * that the cluster had. A fresh unit's first Adam moment starts at 0 and its second is copied: with both at 0 and Adam's
 * step count high, the first steps would be six times the learning rate. Hidden layers and other units do not change.
 */
export function resizeClusteringNet(net: Net, units: OutputUnit[]): Net {
  const last = net.shapes.length - 2;
  const k = net.shapes[last][1];
  const columns = (values: Float32Array, index: number, reset: boolean) => {
    if (index < last) return values;
    const rows = values.length / k;
    const out = new Float32Array(rows * units.length);
    units.forEach(({ from, fresh }, unit) => {
      if (fresh && reset) return;
      for (let row = 0; row < rows; row++) out[row * units.length + unit] = values[row * k + from];
    });
    return out;
  };
  const params = net.params.map((values, i) => columns(values, i, false));
  units.forEach(({ share }, unit) => {
    params[last + 1][unit] += Math.log(share);
  });
  return {
    shapes: net.shapes.map((shape, i) => (i < last ? shape : [...shape.slice(0, -1), units.length])),
    params,
    first: net.first.map((values, i) => columns(values, i, true)),
    second: net.second.map((values, i) => columns(values, i, false)),
    steps: net.steps,
  };
}

/** The sub-clustering nets, one for each of `units`: fresh ones reinitialized with zero moments, the others unchanged. */
export function resizeSubNets(nets: Net, units: OutputUnit[], seed: Seed, epoch: number): Net {
  const k = nets.shapes[0][0];
  const stack = (values: Float32Array, reset: boolean) => {
    const size = values.length / k;
    const out = new Float32Array(size * units.length);
    units.forEach(({ from, fresh }, unit) => {
      if (!(fresh && reset)) out.set(values.subarray(from * size, (from + 1) * size), unit * size);
    });
    return out;
  };
  const params = nets.params.map((values) => stack(values, true));
  units.forEach(({ fresh }, unit) => {
    if (fresh) initSubNet(seed, params, units.length, unit, epoch);
  });
  return {
    shapes: nets.shapes.map((shape) => [units.length, ...shape.slice(1)]),
    params,
    first: nets.first.map((values) => stack(values, true)),
    second: nets.second.map((values) => stack(values, true)),
    steps: nets.steps,
  };
}
