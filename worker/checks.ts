import { HASH_BYTES } from '../data/blocks.ts';
import { elementCount } from '../model/arrays.ts';
import { centreWidth } from '../model/description/centres.ts';
import { blockCount, type Layout } from '../model/layout.ts';
import { areAutoencoderWidths, codeWidth } from '../model/nets/autoencoder.ts';
import { netShapes, netSize } from '../model/nets/net.ts';
import { QUANTILES } from '../model/sampling/quantile-search.ts';
import { statisticsLength } from '../model/statistics.ts';
import type { WorkUnit } from '../proto/messages.ts';
import { type Cell, type CellTask, covarianceOf, type Task } from '../proto/tasks.ts';
import type { TensorDtype } from '../proto/tensors.ts';
import { FORWARD_ROWS } from './compute/mlp.ts';
import { checkField, checkGraphTask, isGraphTask } from './graph-checks.ts';
import { array, columnsIn, fits, InvalidRound, must, tensor } from './state-checks.ts';
import type { States } from './states.ts';

export { InvalidRound };

/** Layers of a net. */
const MOST_LAYERS = 64;
/** Float32 numbers of a tensor: WebAssembly addresses 4 GiB. */
const MOST_NUMBERS = 2 ** 30;

/** Throws InvalidRound unless the unit is a range of blocks of one of the shards. */
export function checkUnit({ shard, from, to }: WorkUnit, shards: { length: number }[]): void {
  must(shard < shards.length && from <= to && to <= shards[shard].length, 'there is no such unit');
}

/**
 * Throws InvalidRound unless the states have the shapes that the task expects and its result fits in a message. Kernels work
 * on addresses and sizes: with inconsistent shapes they would access memory outside of their tensors.
 */
export function checkTask(task: Task, states: States, layout: Layout): void {
  if (task.task === 'moments') {
    array(states, 'origin', 'row', 'float64', [layout.dim]);
    fits(statisticsLength(layout.dim, covarianceOf(task)));
    return;
  }
  array(states, 'hashes', 'blocks', 'uint8', [blockCount(layout), HASH_BYTES]);
  if (task.task === 'column-histogram') {
    const columns = columnsIn(states, 'key-ranges', 'columns', layout);
    const shape = [columns, QUANTILES.length];
    for (const name of ['from', 'to']) array(states, 'key-ranges', name, 'uint32', shape);
    const [from, to] = ['from', 'to'].map((name) => states.get('key-ranges')[name].data);
    must(
      from.every((least, i) => least <= to[i]),
      'key-ranges: a range ends before it begins',
    );
    fits(columns * QUANTILES.length * task.bins);
    return;
  }
  if (task.task === 'fenced-moments') {
    const columns = columnsIn(states, 'fences', 'columns', layout);
    for (const name of ['low', 'high', 'nearLow', 'nearHigh'])
      array(states, 'fences', name, 'float32', [columns]);
    array(states, 'fences', 'pivot', 'float64', [layout.dim]);
    fits(statisticsLength(layout.dim, covarianceOf(task)));
    return;
  }
  if (task.task === 'sample-covariance') {
    array(states, 'columns', 'shift', 'float32', [layout.dim]);
    array(states, 'columns', 'factor', 'float32', [layout.dim]);
    array(states, 'columns', 'below', 'float64', [1]);
    if ('fenced' in states.get('columns')) {
      const fenced = columnsIn(states, 'columns', 'fenced', layout);
      for (const name of ['low', 'high']) array(states, 'columns', name, 'float32', [fenced]);
    }
    fits((task.sketch || layout.dim) ** 2);
    return;
  }
  if (task.task === 'encoder-steps' || task.task === 'encode') {
    const { size, latent, widest } = encoderOf(states, layout);
    if (task.task === 'encoder-steps') {
      for (const moment of ['first', 'second']) array(states, 'encoder-moments', moment, 'float32', [size]);
      if (task.pull) checkClusters(states, layout, latent);
    }
    // In float32, half as large as what `fits` is for.
    fits((task.task === 'encode' ? (layout.rows * latent) / layout.shards : 3 * size) / 2);
    const rows = task.task === 'encode' || task.pull ? FORWARD_ROWS : Math.min(task.batch, layout.rows);
    addressable(rows * widest);
    return;
  }
  const d = transformDim(states, layout);
  const p = statisticsLength(d, 'diagonal' in task ? covarianceOf(task) : 'full');
  if (task.task === 'seed-distances') {
    must(rowsIn(states, 'centres', d) >= task.centres, 'centres has too few rows');
  } else if (task.task === 'statistics' || task.task === 'full-pass') {
    const net = netOf(states, 'net', d);
    fits(p * net.k);
    if (task.task === 'full-pass') {
      array(states, 'cluster-centres', 'rows', 'float32', [net.k, centreWidth(d, covarianceOf(task))]);
      fits(layout.dim * (net.k + 1));
    }
    if (task.task === 'statistics') addressable(Math.min(task.block, layout.rows) * Math.max(net.widest, p));
    else addressable(layout.blockRows * net.widest);
  } else if (task.task === 'sample-labels') {
    const { k, widest } = netOf(states, 'net', d);
    fits(k + layout.rows / layout.shards);
    addressable(layout.blockRows * widest);
  } else if (task.task === 'pivoted-statistics') {
    const { k } = netOf(states, 'net', d);
    array(states, 'means', 'rows', 'float64', [k, d]);
    fits(p * k);
  } else if (task.task === 'cluster-steps') {
    const { k, size, widest } = netOf(states, 'net', d);
    moments(states, 'net', size);
    addressable(Math.min(task.batch, layout.rows) * widest);
    if (task.field) {
      must(task.loss === 'kl', `the targets of a mean field are no costs, as with loss ${task.loss}`);
      checkField(states, layout, d, k);
    } else if (task.loss !== 'kl') array(states, 'e-step', 'cost', 'float32', [p, k]);
    else if (task.form === 'product') array(states, 'e-step', 'theta', 'float32', [p, k]);
    else whitened(states, 'e-step', [], d, k);
  } else if (task.task === 'sub-steps') {
    const k = subsOf(states, d);
    fits((k * task.batch * d) / 2);
    addressable(k * task.batch * netOf(states, 'subs', d).widest);
    if (task.loss === 'kl') whitened(states, 'parts', [k], d, 2);
    else {
      array(states, 'parts', 'centres', 'float32', [k, 2, d]);
      array(states, 'parts', 'metric', 'float32', [d]);
    }
  } else if (isGraphTask(task)) {
    if (task.task === 'memberships') netOf(states, 'net', d);
    checkGraphTask(task, states, layout, d);
  } else checkPartition(task, states, d, p);
}

function checkPartition(task: CellTask, states: States, d: number, p: number): void {
  const { leaves, groups } = task;
  const k = groups === 'all' ? 1 : netOf(states, 'net', d).k;
  if (groups === 'sub-net') subsOf(states, d, false);
  const needed = groups === 'sub-net' ? 2 * k : k;
  must(task.cells.length >= needed, `it has ${task.cells.length} cells for ${needed} groups`);
  checkCells(task.cells, leaves, rowsIn(states, task.vectors, d));
  if (task.task === 'cell-sums') {
    fits(leaves * d);
    return;
  }
  if (task.task === 'cell-scatter') {
    must(rowsIn(states, task.pivots, d) === leaves, `${task.pivots} does not have one row per leaf`);
    fits(leaves * p);
  } else if (task.task === 'cell-fourth-moments') {
    array(states, task.whitening, 'centre', 'float64', [leaves, d]);
    array(states, task.whitening, 'inverse', 'float64', [leaves, d, d]);
    fits(leaves * d * d);
  } else {
    const axes = rowsIn(states, task.axes, d);
    must(axes > 0 && axes % leaves === 0, `${task.axes} does not have as many rows for each leaf`);
    array(states, task.axes, 'centre', 'float64', [axes]);
    array(states, task.axes, 'sd', 'float64', [axes]);
    fits(axes * task.bins);
  }
}

/** A tensor of this many float32 numbers must have addresses. */
function addressable(numbers: number): void {
  must(numbers < MOST_NUMBERS, 'it needs a tensor of 4 GiB or more');
}

/** The dimension D of transformed rows. */
function transformDim(states: States, layout: Layout): number {
  const tensors = states.get('transform');
  const of = (name: string, dtype: TensorDtype) => tensor(tensors, 'transform', name, dtype).data;
  const d = of('bias', 'float32').length;
  const shape = of('shape', 'int32');
  must(
    shape.length === 2 && shape[1] === layout.dim,
    'transform: its input dimension is not that of the data',
  );
  const isConsistent =
    d >= 1 &&
    of('scale', 'float64').length === d &&
    of('offset', 'float64').length === d &&
    of('below', 'float64').length === 1;
  must(isConsistent, 'transform: the lengths of its tensors differ');
  if ('shift' in tensors || 'factor' in tensors) {
    must(shape[0] === 1, 'transform: it has a shift, but its rows are not scaled to unit length');
    for (const name of ['shift', 'factor']) array(states, 'transform', name, 'float32', [layout.dim]);
  }
  if ('half' in tensors) {
    const half = of('half', 'int32');
    must(half.length === 1 && half[0] >= 1, 'transform: there is no such half');
  }
  const weights = of('weights', 'float32').length;
  if (!('columns' in tensors)) must(weights === layout.dim * d, 'transform: wrong length of weights');
  else {
    const columns = of('columns', 'int32');
    must(weights === d && columns.length === d, 'transform: wrong length of weights or columns');
    must(
      columns.every((column) => column >= 0 && column < layout.dim),
      'transform: there is no such column',
    );
  }
  if ('fenced' in tensors) {
    const fenced = columnsIn(states, 'transform', 'fenced', layout);
    for (const name of ['low', 'high', 'least', 'most'])
      array(states, 'transform', name, 'float32', [fenced]);
  }
  return d;
}

interface NetSize {
  /** Outputs. */
  k: number;
  /** Parameters, of all stacked nets. */
  size: number;
  nets: number;
  /** The largest number of units in a layer, inputs included. */
  widest: number;
}

function netOf(states: States, name: 'net' | 'subs', d: number): NetSize {
  const tensors = states.get(name);
  const widths = [...tensor(tensors, name, 'widths', 'int32').data];
  const { data } = tensor(tensors, name, 'nets', 'int32');
  const [nets] = data;
  const isValid = widths.length >= 2 && widths.length <= MOST_LAYERS && widths.every((width) => width >= 1);
  must(isValid && widths[0] === d, `${name}: widths [${widths.slice(0, 8)}] for rows of ${d} numbers`);
  must(data.length === 1 && (name === 'net' ? nets === 0 : nets >= 1), `${name}: ${nets} nets`);
  const size = netSize(netShapes(widths, nets));
  const { length } = tensor(tensors, name, 'params', 'float32').data;
  must(length === size, `${name}: ${length} params, not ${size}`);
  return { k: widths.at(-1)!, size, nets, widest: Math.max(...widths) };
}

/** An auto-encoder of rows. */
function encoderOf(states: States, layout: Layout) {
  const state = states.get('encoder');
  const widths = [...tensor(state, 'encoder', 'widths', 'int32').data];
  const isValid = areAutoencoderWidths(widths, layout.dim) && widths.length <= MOST_LAYERS;
  must(isValid, `encoder: widths [${widths.slice(0, 8)}] for rows of ${layout.dim} numbers`);
  const size = netSize(netShapes(widths, 0));
  addressable(size);
  array(states, 'encoder', 'params', 'float32', [size]);
  for (const name of ['factor', 'shift']) array(states, 'encoder-input', name, 'float32', [layout.dim]);
  return { size, latent: codeWidth(widths), widest: Math.max(...widths) };
}

/** Clusters of the encoder's codes: the transform and the net that tell them, and their centres. */
function checkClusters(states: States, layout: Layout, latent: number): void {
  const d = transformDim(states, { ...layout, dim: latent });
  const { k, widest } = netOf(states, 'net', d);
  array(states, 'code-centres', 'rows', 'float32', [k, latent]);
  addressable(FORWARD_ROWS * widest);
}

/** Adam's moments must have the size of the net. */
function moments(states: States, net: 'net' | 'subs', size: number): void {
  const name = `${net}-moments`;
  for (const moment of ['first', 'second'])
    must(
      tensor(states.get(name), name, moment, 'float32').data.length === size,
      `${name}: not the size of its net`,
    );
}

/** K, the number of clusters and of sub-nets; `trained`: with Adam's moments. */
function subsOf(states: States, d: number, trained = true): number {
  const { k } = netOf(states, 'net', d);
  const { k: sides, size, nets } = netOf(states, 'subs', d);
  must(nets === k && sides === 2, `subs: ${nets} nets with ${sides} outputs for ${k} clusters`);
  if (trained) moments(states, 'subs', size);
  return k;
}

/** The parameters of u = y·weights + bias and a constant for each of k components; `stack`: leading axes. */
function whitened(states: States, state: string, stack: number[], d: number, k: number): void {
  array(states, state, 'weights', 'float32', [...stack, d, k * d]);
  array(states, state, 'bias', 'float32', [...stack, k * d]);
  array(states, state, 'constant', 'float32', [...stack, k]);
}

/** The number of rows in a state's `rows` [n,d]. */
function rowsIn(states: States, state: string, d: number): number {
  const { shape, data } = tensor(states.get(state), state, 'rows', 'float64');
  must(
    shape.length === 2 && shape[1] === d && elementCount(shape) === data.length,
    `${state}: rows has shape [${shape}]`,
  );
  return shape[0];
}

/** Leaves and vectors in cells must exist, at all levels. */
function checkCells(cells: Cell[], leaves: number, vectors: number): void {
  const left = [...cells];
  for (let cell = left.pop(); cell !== undefined; cell = left.pop()) {
    if (typeof cell === 'number') must(cell < leaves, `there is no leaf ${cell}`);
    else {
      const used = 'near' in cell ? cell.near : 'linear' in cell ? cell.linear : [cell.axis];
      must(
        used.every((vector) => vector < vectors),
        'there is no such vector',
      );
      for (const child of cell.into) left.push(child);
    }
  }
}
