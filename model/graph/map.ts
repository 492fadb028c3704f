import { generator } from '../random.ts';
import { directedWeights, type Graph, symmetrized } from './weights.ts';

/** A map of rows: two coordinates for each, by which rows that are near each other stay so. */

const NEIGHBOURS = 15;
/** The larger standard deviation of the start, in units in which neighbours settle about 1 apart. */
const START_SPREAD = 5;
const EPOCHS = 100;
/** Rows that each row is pushed away from, for each neighbour that it is drawn to. */
const PUSHES = 5;
/** The longest step along an axis. */
const LONGEST = 4;

/** Rows whose neighbours are looked for, and pairs of their numbers that are compared: together about half a second. */
const MOST_ROWS = 2_500;
const MOST_COMPARED = 5e8;
/** Rows whose neighbours are found without yielding. */
const ROWS_AT_ONCE = 32;

/** Rows of `dim` numbers whose neighbours are found quickly. */
export const rowsOnMap = (dim: number) => Math.min(MOST_ROWS, Math.floor(Math.sqrt(MOST_COMPARED / dim)));

/**
 * Places rows in the plane: [n,2], the same for the same rows. UMAP's graph and objective (McInnes, Healy & Melville 2018) with the
 * similarity 1/(1 + d²), by its sampled gradient descent from the leading two axes. O(n²·dim): for `rowsOnMap` of them. In steps that each take
 * a few milliseconds.
 *
 * @param rows [n,dim], along principal axes, the leading ones first
 */
export function* mapOf(rows: Float32Array, dim: number): Generator<void, Float64Array> {
  const n = rows.length / dim;
  const k = Math.min(NEIGHBOURS, n - 1);
  const places = leadingPlane(rows, dim);
  if (k < 1) return places;
  const { index, distance } = yield* findNearest(rows, dim, k);
  yield* settle(places, symmetrized(index, directedWeights(distance, k), k));
  return places;
}

/** The `k` nearest other rows of each, nearest first: [n,k]. */
export const nearestRows = (rows: Float32Array, dim: number, k: number) => atOnce(findNearest(rows, dim, k));

/** What a computation in steps returns, without a pause. */
export function atOnce<R>(steps: Generator<void, R>): R {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

function* findNearest(rows: Float32Array, dim: number, k: number) {
  const n = rows.length / dim;
  const index = new Int32Array(n * k);
  const distance = new Float32Array(n * k).fill(Infinity);
  const place = (i: number, j: number, squared: number) => {
    let at = (i + 1) * k - 1;
    for (; at > i * k && squared < distance[at - 1]; at--) {
      distance[at] = distance[at - 1];
      index[at] = index[at - 1];
    }
    distance[at] = squared;
    index[at] = j;
  };
  // A function of its own, as generators are compiled late.
  const compare = (i: number) => {
    for (let j = i + 1; j < n; j++) {
      let squared = 0;
      for (let p = i * dim, q = j * dim; p < (i + 1) * dim; p++, q++) squared += (rows[p] - rows[q]) ** 2;
      if (squared < distance[(i + 1) * k - 1]) place(i, j, squared);
      if (squared < distance[(j + 1) * k - 1]) place(j, i, squared);
    }
  };
  for (let i = 0; i < n; i++) {
    if (i % ROWS_AT_ONCE === 0) yield;
    compare(i);
  }
  return { index, distance: distance.map(Math.sqrt) };
}

/** The first two numbers of rows, about their mean and in the units of the map: [n,2]. */
function leadingPlane(rows: Float32Array, dim: number): Float64Array {
  const n = rows.length / dim;
  const places = new Float64Array(2 * n);
  let largest = 0;
  for (let axis = 0; axis < Math.min(2, dim); axis++) {
    let [mean, squares] = [0, 0];
    for (let i = 0; i < n; i++) mean += rows[i * dim + axis] / n;
    for (let i = 0; i < n; i++) {
      places[2 * i + axis] = rows[i * dim + axis] - mean;
      squares += places[2 * i + axis] ** 2 / n;
    }
    largest = Math.max(largest, squares);
  }
  const by = largest > 0 ? START_SPREAD / Math.sqrt(largest) : 0;
  return places.map((value) => by * value);
}

/** Moves the places of rows until neighbours are near each other and others are apart. */
function* settle(places: Float64Array, { starts, index, weight }: Graph): Generator<void> {
  const n = starts.length - 1;
  const { uint32 } = generator(0n, 'map');
  const share = n / 2 ** 32;
  const heaviest = weight.reduce((a, b) => Math.max(a, b), 0);
  // An edge takes part in as many epochs as its weight says.
  const every = weight.map((w) => heaviest / w);
  const next = every.slice();
  const bounded = (step: number) => Math.max(-LONGEST, Math.min(LONGEST, step));
  const move = (epoch: number) => {
    const rate = 1 - (epoch - 1) / EPOCHS;
    for (let i = 0; i < n; i++)
      for (let e = starts[i]; e < starts[i + 1]; e++) {
        if (next[e] > epoch) continue;
        next[e] += every[e];
        const j = 2 * index[e];
        let dx = places[2 * i] - places[j];
        let dy = places[2 * i + 1] - places[j + 1];
        const pull = (-2 * rate) / (1 + dx * dx + dy * dy);
        const px = bounded(pull * dx);
        const py = bounded(pull * dy);
        places[2 * i] += px;
        places[2 * i + 1] += py;
        places[j] -= px;
        places[j + 1] -= py;
        for (let push = 0; push < PUSHES; push++) {
          const other = Math.floor(uint32() * share);
          if (other === i) continue;
          dx = places[2 * i] - places[2 * other];
          dy = places[2 * i + 1] - places[2 * other + 1];
          const squared = dx * dx + dy * dy;
          const away = (2 * rate) / ((1e-3 + squared) * (1 + squared));
          places[2 * i] += bounded(away * dx);
          places[2 * i + 1] += bounded(away * dy);
        }
      }
  };
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    yield;
    move(epoch);
  }
}
