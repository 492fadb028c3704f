import { elementCount } from '../../../model/arrays.ts';
import { netWidths } from '../../../model/nets/net.ts';
import type { FlatNet, Loss } from '../backends/backend.ts';
import { copyRows, instantiate, padded } from './compiled.ts';

/** Part of the numeric identity: increase it with every change of assembly/ that changes bits. */
export const STEPS_VERSION = 'steps1';

/** What outputs are compared with their targets by, as in assembly/steps.ts. */
const LOSSES: Loss[] = ['kl', 'cost', 'squares'];
/** As in assembly/steps.ts. */
const PANEL = 16;

/** Starts training of a net, whose steps are single calls; it ends when another begins. `linear`: a hidden layer without a ReLU, −1 for none. */
export function stepKernel() {
  const { calls, buffer, allocate, top, reset } = instantiate<'step'>();
  let latest = {};

  return (net: FlatNet, loss: Loss, linear: number) => {
    const own = {};
    latest = own;
    const stacked = net.shapes[0].length === 3;
    const nets = stacked ? net.shapes[0][0] : 1;
    const widths = netWidths(net.shapes);
    const outputs = widths.at(-1)!;
    const layers = widths.length - 1;
    const wide = widths.map(padded);
    const sizes = widths.slice(1).map((width, l) => (widths[l] + 1) * padded(width));
    const size = sizes.reduce((a, b) => a + b, 0);
    const widest = Math.max(...wide);
    const turned = Math.max(...wide.slice(1).map((width, l) => width * wide[l]));

    reset();
    // Addresses are unsigned (hence >>>), as the memory may grow beyond 2 GiB.
    const widthsAt = allocate(4 * widths.length);
    const arrays = [net.params, net.first, net.second].map((values) => ({
      values,
      address: allocate(4 * nets * size),
    }));
    const ofNet = [widthsAt, layers, linear, nets];
    const addresses = arrays.map(({ address }) => address);
    const copy = (back: boolean) => {
      for (const { values, address } of arrays)
        spread(values, net.shapes, nets, view, address >>> 2, size, back);
    };
    const endOfNet = top();
    let view = new Float32Array(buffer());
    new Int32Array(buffer()).set(widths, widthsAt >>> 2);
    copy(false);

    return {
      /**
       * One Adam step, the `count`-th, on rows and targets in JavaScript's memory, row-major. `codes`: as in `TrainingBatch`, of a single
       * net. Returns the loss, without that of the codes.
       */
      step(
        x: Float32Array,
        target: Float32Array,
        rate: number,
        count: number,
        codes?: { target: Float32Array; weight: number },
      ): number {
        if (own !== latest) throw new Error('another training has begun');
        const rows = x.length / (nets * widths[0]);
        const hidden = rows * wide.slice(1).reduce((a, b) => a + b, 0);
        reset(endOfNet);
        const input = allocate(4 * x.length);
        const wanted = allocate(4 * nets * rows * padded(outputs));
        const codeWidth = codes ? padded(widths[linear + 1]) : 0;
        const ownCodes = allocate(4 * rows * codeWidth);
        const work = allocate(4 * (hidden + rows * widest + Math.max(turned, PANEL * widest)));
        if (view.buffer !== buffer()) view = new Float32Array(buffer());
        view.set(x, input >>> 2);
        copyRows(target, nets * rows, outputs, view, wanted >>> 2, padded(outputs));
        if (codes) copyRows(codes.target, rows, widths[linear + 1], view, ownCodes >>> 2, codeWidth);
        return calls.step(
          ...ofNet,
          rows,
          input,
          wanted,
          LOSSES.indexOf(loss),
          ...addresses,
          work,
          codes ? ownCodes : 0,
          codes?.weight ?? 0,
          rate / (1 - 0.9 ** count),
          1 / (1 - 0.999 ** count),
        );
      },
      /** Writes weights and moments back into the net. */
      end: () => copy(true),
    };
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
      if (cols === wide) {
        const [own, other] = [flat.subarray(from, from + rows * cols), view.subarray(to, to + rows * cols)];
        if (back) own.set(other);
        else other.set(own);
      } else if (back)
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < cols; j++) flat[from + i * cols + j] = view[to + i * wide + j];
      else copyRows(flat.subarray(from, from + rows * cols), rows, cols, view, to, wide);
    }
    within += rows * wide;
  }
}
