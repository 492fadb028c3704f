import { elementCount } from '../../../model/arrays.ts';
import { netWidths } from '../../../model/nets/net.ts';
import type { FlatNet } from '../backends/backend.ts';
import { copyRows, instantiate, padded } from './compiled.ts';

/** Part of the numeric identity: increase it with every change of assembly/ that changes bits. */
export const STEPS_VERSION = 'steps1';

/** A batch in JavaScript's memory, row-major. */
export interface HostBatch {
  x: Float32Array;
  target: Float32Array;
}

/** Takes one Adam step on each batch, after `done` earlier steps. Changes the net in place; returns the mean loss. */
export type StepKernel = (
  net: FlatNet,
  batches: Iterable<HostBatch>,
  loss: 'kl' | 'cost',
  rate: number,
  done: number,
) => number;

export function stepKernel(): StepKernel {
  const { calls, buffer, allocate, top, reset } = instantiate<'step'>();

  return (net, batches, loss, rate, done) => {
    const stacked = net.shapes[0].length === 3;
    const nets = stacked ? net.shapes[0][0] : 1;
    const widths = netWidths(net.shapes);
    const outputs = widths.at(-1)!;
    const layers = widths.length - 1;
    const sizes = widths.slice(1).map((width, l) => (widths[l] + 1) * padded(width));
    const size = sizes.reduce((a, b) => a + b, 0);
    const widest = Math.max(...widths.slice(1).map(padded));

    reset();
    // Addresses are unsigned (hence >>>), as the memory may grow beyond 2 GiB.
    const at = {
      widths: allocate(4 * widths.length),
      params: allocate(4 * nets * size),
      first: allocate(4 * nets * size),
      second: allocate(4 * nets * size),
    };
    const arrays = [net.params, net.first, net.second].map((values, i) => ({
      values,
      address: [at.params, at.first, at.second][i],
    }));
    const endOfNet = top();
    let view = new Float32Array(buffer());
    new Int32Array(buffer()).set(widths, at.widths >>> 2);
    for (const { values, address } of arrays)
      spread(values, net.shapes, nets, view, address >>> 2, size, false);

    let sum = 0;
    let count = 0;
    for (const { x, target } of batches) {
      const rows = x.length / (nets * widths[0]);
      const wide = padded(outputs);
      const hidden = widths.slice(1).reduce((total, width) => total + rows * padded(width), 0);
      reset(endOfNet);
      const input = allocate(4 * x.length);
      const wanted = allocate(4 * nets * rows * wide);
      const work = allocate(4 * (hidden + Math.max(...sizes) + widest * widest + rows * widest));
      if (view.buffer !== buffer()) view = new Float32Array(buffer());
      view.set(x, input >>> 2);
      copyRows(target, nets * rows, outputs, view, wanted >>> 2, wide);
      count++;
      const t = done + count;
      sum += calls.step(
        at.widths,
        layers,
        nets,
        rows,
        input,
        wanted,
        +(loss === 'cost'),
        at.params,
        at.first,
        at.second,
        work,
        rate / (1 - 0.9 ** t),
        1 / (1 - 0.999 ** t),
      );
    }
    for (const { values, address } of arrays)
      spread(values, net.shapes, nets, view, address >>> 2, size, true);
    return sum / count;
  };
}

/** Copies the nets' arrays into the kernel's layout (net by net, columns padded with zeros), or `back`. */
function spread(
  flat: Float32Array,
  shapes: FlatNet['shapes'],
  nets: number,
  view: Float32Array,
  start: number,
  size: number,
  back: boolean,
): void {
  let from = 0;
  let within = start;
  for (const shape of shapes) {
    const cols = shape.at(-1)!;
    const wide = padded(cols);
    const rows = elementCount(shape) / nets / cols;
    for (let net = 0; net < nets; net++, from += rows * cols) {
      const to = within + net * size;
      if (back)
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < cols; j++) flat[from + i * cols + j] = view[to + i * wide + j];
      else copyRows(flat.subarray(from, from + rows * cols), rows, cols, view, to, wide);
    }
    within += rows * wide;
  }
}
