import type { Graph } from '../model/graph/weights.ts';
import { HASH_BYTES } from '../model/layout.ts';
import { areAutoencoderWidths, codeWidth } from '../model/nets/autoencoder.ts';
import { netShapes, netSize } from '../model/nets/net.ts';
import { arrayName, arraysOf, rowStepsAmong } from '../model/steps.ts';
import { KEPT_MEMBERSHIPS } from '../model/widths.ts';
import {
  ascending,
  type Dim,
  float32,
  float64,
  index,
  int32,
  must,
  sizeOf,
  type TensorSpecs,
  tensorOf,
  uint8,
  uint32,
} from '../proto/shapes.ts';
import type { StateSpec } from '../proto/tasks.ts';
import type { Tensors } from '../proto/tensors.ts';

/** The states that tasks read. */

/** Layers of a net. */
const MOST_LAYERS = 64;
/** Of an edge between two groups of a million copies. */
const LARGEST_WEIGHT = 1e12;

const plain = (specs: TensorSpecs): StateSpec => ({ tensors: () => specs });

/** Rows of D numbers, of which there are `n`. */
export const rows = (n: Dim) => plain({ rows: float64([n, 'D']) });

/** The arrays of the row steps of which there is one. */
const stepSpecs = (given: Record<string, unknown>, input: Dim): TensorSpecs =>
  Object.fromEntries(
    rowStepsAmong(given).flatMap((step) =>
      arraysOf(step).map(([name, { type, shape }]) => {
        const dims = shape.map((size) => (size === 'input' ? input : size));
        return [arrayName(step, name), type === 'int32' ? int32(dims, index(input)) : float32(dims)];
      }),
    ),
  );

/** The map from rows of `input` numbers to those of the networks and of the model, of D numbers. */
export const transformOf = (input: Dim): StateSpec => ({
  tensors: (given) => ({
    shape: int32([2]),
    bias: float32(['D']),
    scale: float64(['D']),
    offset: float64(['D']),
    below: float64([1]),
    ...stepSpecs(given, input),
    ...('columns' in given
      ? {
          weights: float32(['D']),
          columns: int32(['D'], index('atoms.columns' in given ? `${input}+atoms` : input)),
        }
      : { weights: float32([input, 'D']) }),
    ...('half' in given && { half: int32([1]) }),
    ...('copyOf' in given && {
      copyOf: int32(['drawn'], index('drawn')),
      copyStarts: int32(['shards+1'], ascending('drawn')),
    }),
  }),
  sizes(tensors, sizes) {
    const { data } = tensorOf(tensors, 'transform', 'shape', 'int32');
    must(data[1] === sizeOf(input, sizes), 'transform: its input dimension is not that of the data');
    if (rowStepsAmong(tensors).includes('before'))
      must(data[0] === 1, 'transform: it has a shift, but its rows are not scaled to unit length');
    if ('half' in tensors)
      must(tensorOf(tensors, 'transform', 'half', 'int32').data[0] >= 1, 'transform: there is no such half');
    const { length } = tensorOf(tensors, 'transform', 'bias', 'float32').data;
    must(length >= 1, 'transform: its rows have no numbers');
    for (const name of Object.keys(stepSpecs(tensors, input)))
      must(tensors[name]?.data.length >= 1, `transform: it has no ${name}`);
    return { D: length };
  },
});

function widthsIn(tensors: Tensors, state: string): number[] {
  const widths = [...tensorOf(tensors, state, 'widths', 'int32').data];
  const isValid = widths.length >= 2 && widths.length <= MOST_LAYERS && widths.every((width) => width >= 1);
  must(isValid, `${state}: widths [${widths.slice(0, 8)}]`);
  return widths;
}

function netsIn(tensors: Tensors, state: string, inputs: number) {
  const widths = widthsIn(tensors, state);
  must(widths[0] === inputs, `${state}: ${widths[0]} inputs for rows of ${inputs} numbers`);
  const [nets] = tensorOf(tensors, state, 'nets', 'int32').data;
  must(Number.isInteger(nets) && nets >= 0, `${state}: ${nets} nets`);
  return {
    ...{ widths, nets, outputs: widths.at(-1)! },
    ...{ params: netSize(netShapes(widths, nets)), widest: Math.max(...widths) },
  };
}

/** The auto-encoder of raw rows: E parameters, latent vectors of L numbers. */
const encoder: StateSpec = {
  tensors: () => ({ widths: int32(['encoderLayers']), params: float32(['E']) }),
  sizes(tensors, { dim }) {
    const widths = widthsIn(tensors, 'encoder');
    must(
      areAutoencoderWidths(widths, dim),
      `encoder: widths [${widths.slice(0, 8)}] for rows of ${dim} numbers`,
    );
    return {
      ...{ E: netSize(netShapes(widths, 0)), L: codeWidth(widths) },
      encoderWidest: Math.max(...widths),
    };
  },
};

/** The clustering net: W parameters, K outputs. */
const net: StateSpec = {
  tensors: () => ({ widths: int32(['layers']), nets: int32([1]), params: float32(['W']) }),
  sizes(tensors, { D }) {
    const { nets, outputs, params, widest } = netsIn(tensors, 'net', D);
    must(nets === 0, `net: ${nets} stacked nets`);
    return { K: outputs, W: params, widest };
  },
};

/** The K stacked sub-clustering nets: S parameters. */
const subs: StateSpec = {
  tensors: () => ({ widths: int32(['subLayers']), nets: int32([1]), params: float32(['S']) }),
  sizes(tensors, { D, K }) {
    const { nets, outputs, params, widest } = netsIn(tensors, 'subs', D);
    must(nets === K && outputs === 2, `subs: ${nets} nets with ${outputs} outputs for ${K} clusters`);
    return { S: params, subWidest: widest };
  },
};

const graph: StateSpec = {
  tensors: () => ({
    starts: int32(['N+1'], ascending('edges')),
    index: int32(['edges'], index('N')),
    weight: float64(['edges']),
    degree: float64(['N']),
    total: float64([1]),
  }),
  sizes: (tensors) => ({ edges: tensorOf(tensors, 'graph', 'index', 'int32').data.length }),
};

/** Each edge is there in both directions, with the same weight of a limited size: else a search for the best partition may not end. */
function assertUndirected(tensors: Tensors): void {
  const [starts, index, weight] = ['starts', 'index', 'weight'].map((name) => tensors[name].data);
  const n = starts.length - 1;
  // Of each row the first edge whose other direction has not been met.
  const next = (starts as Graph['starts']).slice(0, n);
  let isUndirected = true;
  for (let i = 0; i < n && isUndirected; i++)
    for (let e = starts[i], before = -1; e < starts[i + 1]; before = index[e++]) {
      const j = index[e];
      let isEdge = j > before && j !== i && weight[e] > 0 && weight[e] <= LARGEST_WEIGHT;
      if (j < i) isEdge &&= e < next[i];
      else {
        const back = next[j]++;
        isEdge &&= back < starts[j + 1] && index[back] === i && weight[back] === weight[e];
      }
      isUndirected &&= isEdge;
    }
  must(
    isUndirected,
    'graph: its edges are not the same in both directions, with weights above 0 and up to 1e12',
  );
}

const moments = (size: Dim) => plain({ first: float32([size]), second: float32([size]) });

export const STATES = {
  origin: plain({ row: float64(['dim']) }),
  hashes: plain({ blocks: uint8(['blocks', HASH_BYTES]) }),
  transform: transformOf('dim'),
  'key-ranges': {
    tensors: () => ({
      columns: int32(['C'], index('dim')),
      from: uint32(['C', 4]),
      to: uint32(['C', 4]),
    }),
    check({ from, to }) {
      const isRange = from.data.every((least, i) => least <= to.data[i]);
      must(isRange, 'key-ranges: a range ends before it begins');
    },
  },
  fences: plain({
    columns: int32(['C'], index('dim')),
    low: float32(['C']),
    high: float32(['C']),
    nearLow: float32(['C']),
    nearHigh: float32(['C']),
    pivot: float64(['dim']),
  }),
  columns: {
    tensors: (given) => ({
      shift: float32(['dim']),
      factor: float32(['dim']),
      below: float64([1]),
      ...('fenced' in given && {
        fenced: int32(['C'], index('dim')),
        low: float32(['C']),
        high: float32(['C']),
      }),
    }),
  },
  net,
  'net-moments': moments('W'),
  subs,
  'subs-moments': moments('S'),
  /** The E-step's parameters: costs, log densities as products, or by Cholesky factors. */
  'e-step': plain({}),
  /** The targets of the sub-nets, of which the shapes depend on the task too. */
  parts: plain({}),
  means: rows('K'),
  centres: rows('seeds'),
  /** The cluster of each component of the mixture. */
  groups: plain({ of: int32(['K'], index('G')) }),
  'cluster-centres': plain({ rows: float32(['K', 'centre']) }),
  'far-bounds': plain({ rows: float32(['K', 'centre']) }),
  /** What log densities are computed by: an offset of the mixture's outputs, or Gaussians. */
  densities: {
    tensors: (given): TensorSpecs =>
      'offset' in given
        ? { offset: float64([1]) }
        : { constants: float64(['K']), rows: float32(['K', 'centre']) },
  },
  /** The net that places rows on the map: of `units`, none where the coordinates along the axes are the places. */
  map: {
    tensors: () => ({
      axes: float32(['D', 'axes']),
      shift: float32(['axes']),
      units: float32(['units', 'axes']),
      places: float32(['units', 2]),
    }),
    sizes(tensors) {
      const [axes, places] = ['shift', 'places'].map(
        (name) => tensorOf(tensors, 'map', name, 'float32').data.length,
      );
      must(axes >= 1, 'map: it has no axes');
      return { axes, units: places / 2 };
    },
  },
  points: plain({ rows: float32(['N', 'D']), starts: int32(['shards+1'], ascending('N')) }),
  graph,
  memberships: plain({
    cluster: int32(['N', KEPT_MEMBERSHIPS], index('K')),
    share: float32(['N', KEPT_MEMBERSHIPS]),
    volume: float64(['K']),
  }),
  encoder,
  'encoder-moments': moments('E'),
  'encoder-input': plain({ factor: float32(['dim']), shift: float32(['dim']) }),
  /** The mean latent vector of each cluster; NaN of one without rows. */
  'code-centres': plain({ rows: float32(['K', 'L']) }),
} satisfies Record<string, StateSpec>;

/** The mixture by which rows go to clusters, in Cholesky form: K of them. */
export const DENSITIES: StateSpec = {
  tensors: () => whitened([], 'K'),
  sizes: (tensors) => ({ K: tensorOf(tensors, 'e-step', 'constant', 'float32').data.length }),
};

/** The name that a task gives a state of its own, which is none of those above: their shapes would not be checked. */
export function named(name: string): string {
  must(!Object.hasOwn(STATES, name), `${name} is the name of another state`);
  return name;
}

/** The graph in which a task looks for partitions. */
export const UNDIRECTED: StateSpec = { ...graph, check: assertUndirected };

/** `weights`, `bias` and `constant` of u = y·weights + bias for `k` components, with these leading axes. */
export const whitened = (leading: Dim[], k: Dim): TensorSpecs => ({
  weights: float32([...leading, 'D', k === 2 ? '2*D' : `${k}*D`]),
  bias: float32([...leading, k === 2 ? '2*D' : `${k}*D`]),
  constant: float32([...leading, k]),
});
