import { roughLeadingEigen } from '../principal-axes.ts';
import { generator } from '../random.ts';
import { degrees, directedWeights, type Graph, symmetrized } from './weights.ts';

/** A map of rows: two coordinates for each, by which rows that are near each other stay so. */

const NEIGHBOURS = 15;
/** Steps in which rows of the start move towards their neighbours. */
const SMOOTHINGS = 50;
/** The larger standard deviation of the start, in units in which neighbours settle about 1 apart. */
const START_SPREAD = 5;
const EPOCHS = 150;
/** Rows that each row is pushed away from, for each neighbour that it is drawn to. */
const PUSHES = 5;
/** The longest step along an axis. */
const LONGEST = 4;

/** Rows on a map at most, and pairs of their numbers that are compared: together about a second. */
const MOST_ROWS = 2_500;
const MOST_COMPARED = 5e8;

/** How many rows of `dim` numbers fit on a map. */
export const rowsOnMap = (dim: number) => Math.min(MOST_ROWS, Math.floor(Math.sqrt(MOST_COMPARED / dim)));

/**
 * Places rows [n,dim] in the plane: [n,2], the same for the same rows. UMAP's graph and objective (McInnes, Healy & Melville 2018) with
 * the similarity 1/(1 + d²), by its sampled gradient descent. It starts from the leading axes of rows smoothed over the graph, which
 * are close to the graph Laplacian's eigenvectors, and, unlike these, are different for parts without an edge between them.
 * O(n²·dim): for `rowsOnMap` of them.
 */
export function mapOf(rows: Float32Array, dim: number): Float64Array {
  const n = rows.length / dim;
  const k = Math.min(NEIGHBOURS, n - 1);
  if (k < 1) return new Float64Array(2 * n);
  const { index, distance } = nearestRows(rows, dim, k);
  const graph = symmetrized(index, directedWeights(distance, k), k);
  const places = leadingPlane(smoothed(rows, dim, graph), dim);
  settle(places, graph);
  return places;
}

/** The `k` nearest other rows of each, nearest first: [n,k]. */
export function nearestRows(rows: Float32Array, dim: number, k: number) {
  const n = rows.length / dim;
  const index = new Int32Array(n * k);
  const distance = new Float32Array(n * k).fill(Infinity);
  const place = (i: number, j: number, squared: number) => {
    let at = (i + 1) * k - 1;
    if (!(squared < distance[at])) return;
    for (; at > i * k && squared < distance[at - 1]; at--) {
      distance[at] = distance[at - 1];
      index[at] = index[at - 1];
    }
    distance[at] = squared;
    index[at] = j;
  };
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) {
      let squared = 0;
      for (let p = i * dim, q = j * dim; p < (i + 1) * dim; p++, q++) squared += (rows[p] - rows[q]) ** 2;
      place(i, j, squared);
      place(j, i, squared);
    }
  return { index, distance: distance.map(Math.sqrt) };
}

/** Rows that have moved towards the mean of their neighbours, again and again. */
function smoothed(rows: Float32Array, dim: number, graph: Graph): Float64Array {
  const { starts, index, weight } = graph;
  const degree = degrees(graph);
  let from = Float64Array.from(rows);
  let to = new Float64Array(rows.length);
  for (let step = 0; step < SMOOTHINGS; step++) {
    for (let i = 0; i < degree.length; i++) {
      const own = to.subarray(i * dim, (i + 1) * dim);
      for (let d = 0; d < dim; d++) own[d] = from[i * dim + d] / 2;
      for (let e = starts[i]; e < starts[i + 1]; e++) {
        const by = weight[e] / (2 * degree[i]);
        for (let d = 0, p = index[e] * dim; d < dim; d++, p++) own[d] += by * from[p];
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Rows projected onto their two leading axes: [n,2]. */
function leadingPlane(rows: Float64Array, dim: number): Float64Array {
  const n = rows.length / dim;
  const mean = new Float64Array(dim);
  for (let p = 0; p < rows.length; p++) mean[p % dim] += rows[p] / n;
  const centred = rows.map((value, p) => value - mean[p % dim]);
  const axes = Math.min(2, dim, n);
  const places = new Float64Array(2 * n);
  // XᵀX and XXᵀ have the same leading eigenvalues: the smaller one is decomposed.
  const isWide = dim > n;
  const size = isWide ? n : dim;
  const products = new Float64Array(size * size);
  for (let a = 0; a < size; a++)
    for (let b = 0; b <= a; b++) {
      let sum = 0;
      if (isWide) for (let d = 0; d < dim; d++) sum += centred[a * dim + d] * centred[b * dim + d];
      else for (let o = 0; o < centred.length; o += dim) sum += centred[o + a] * centred[o + b];
      products[a * size + b] = products[b * size + a] = sum / n;
    }
  const { values, vectors } = roughLeadingEigen(products, size, axes, 1e-6);
  if (!(values[0] > 0)) return places;
  const by = START_SPREAD / Math.sqrt(values[0]);
  for (let axis = 0; axis < axes; axis++) {
    const vector = vectors.subarray(axis * size, (axis + 1) * size);
    const length = Math.sqrt(Math.max(0, values[axis]) * n);
    for (let i = 0; i < n; i++) {
      let along = isWide ? length * vector[i] : 0;
      if (!isWide) for (let d = 0; d < dim; d++) along += centred[i * dim + d] * vector[d];
      places[2 * i + axis] = by * along;
    }
  }
  return places;
}

/** Moves the places of rows until neighbours are near each other and others are apart. */
function settle(places: Float64Array, { starts, index, weight }: Graph): void {
  const n = starts.length - 1;
  const { uint32 } = generator(0n, 'map');
  const heaviest = weight.reduce((a, b) => Math.max(a, b), 0);
  // An edge takes part in as many epochs as its weight says.
  const every = weight.map((w) => heaviest / w);
  const next = every.slice();
  const bounded = (step: number) => Math.max(-LONGEST, Math.min(LONGEST, step));
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    const rate = 1 - (epoch - 1) / EPOCHS;
    for (let i = 0; i < n; i++)
      for (let e = starts[i]; e < starts[i + 1]; e++) {
        if (next[e] > epoch) continue;
        next[e] += every[e];
        const j = 2 * index[e];
        let [dx, dy] = [places[2 * i] - places[j], places[2 * i + 1] - places[j + 1]];
        const pull = (-2 * rate) / (1 + dx * dx + dy * dy);
        const [px, py] = [bounded(pull * dx), bounded(pull * dy)];
        places[2 * i] += px;
        places[2 * i + 1] += py;
        places[j] -= px;
        places[j + 1] -= py;
        for (let push = 0; push < PUSHES; push++) {
          const other = uint32() % n;
          if (other === i) continue;
          dx = places[2 * i] - places[2 * other];
          dy = places[2 * i + 1] - places[2 * other + 1];
          const squared = dx * dx + dy * dy;
          const away = (2 * rate) / ((1e-3 + squared) * (1 + squared));
          places[2 * i] += bounded(away * dx);
          places[2 * i + 1] += bounded(away * dy);
        }
      }
  }
}
