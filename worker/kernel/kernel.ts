import { existsSync, readFileSync } from 'node:fs';
import { netWidths } from '../../model/net.ts';
import { elements } from '../../proto/tensors.ts';
import type { FlatNet } from '../backends/backend.ts';

/** Raised with every change of steps.ts that changes bits: part of the numeric identity. */
export const STEPS_VERSION = 'steps1';

/** A batch as the kernel takes it: row-major. */
export interface HostBatch {
  x: Float32Array;
  target: Float32Array;
}

/** Takes one Adam step on each batch in turn; `done` steps were taken before. Replaces the net's arrays; mean loss. */
export type StepKernel = (
  net: FlatNet,
  batches: Iterable<HostBatch>,
  loss: 'kl' | 'cost',
  rate: number,
  done: number,
) => number;

type Step = (...args: number[]) => number;

/** What is used of it; TypeScript declares it for browsers only. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Record<string, unknown> };
};

const PAGE = 65536;
const padded = (width: number) => (width + 3) & ~3;

/** worker/kernel/steps.ts, compiled by `npm run build`; sources run by tsx find it there too. */
function compiled(): Uint8Array<ArrayBuffer> {
  const places = ['./steps.wasm', '../../dist/worker/kernel/steps.wasm'];
  const found = places.map((place) => new URL(place, import.meta.url)).find((place) => existsSync(place));
  if (!found) throw new Error('worker/kernel/steps.wasm is missing: run npm run build');
  return new Uint8Array(readFileSync(found));
}

export function stepKernel(): StepKernel {
  const memory = new WebAssembly.Memory({ initial: 16 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(compiled()), { env: { memory } });
  const step = instance.exports.step as Step;
  const start = (instance.exports.start as () => number)();

  return (net, batches, loss, rate, done) => {
    const stacked = net.shapes[0].length === 3;
    const nets = stacked ? net.shapes[0][0] : 1;
    const widths = netWidths(net.shapes);
    const outputs = widths.at(-1)!;
    const layers = widths.length - 1;
    const sizes = widths.slice(1).map((width, l) => (widths[l] + 1) * padded(width));
    const size = sizes.reduce((a, b) => a + b, 0);
    const widest = Math.max(...widths.slice(1).map(padded));

    let top = start;
    const place = (floats: number) => {
      const at = top;
      top += (4 * floats + 15) & ~15;
      return at;
    };
    const at = {
      widths: place(widths.length),
      params: place(nets * size),
      first: place(nets * size),
      second: place(nets * size),
    };
    const arrays = [net.params, net.first, net.second].map((values, i) => ({
      values,
      address: [at.params, at.first, at.second][i],
    }));
    const fixed = top;
    let view = new Float32Array(memory.buffer);
    const room = (bytes: number) => {
      if (bytes <= memory.buffer.byteLength) return;
      memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / PAGE));
      view = new Float32Array(memory.buffer);
    };
    room(fixed);
    new Int32Array(memory.buffer).set(widths, at.widths >> 2);
    for (const { values, address } of arrays)
      spread(values, net.shapes, nets, view, address >> 2, size, false);

    let sum = 0;
    let count = 0;
    for (const { x, target } of batches) {
      const rows = x.length / (nets * widths[0]);
      const wide = padded(outputs);
      const hidden = widths.slice(1).reduce((total, width) => total + rows * padded(width), 0);
      top = fixed;
      const input = place(x.length);
      const wanted = place(nets * rows * wide);
      const work = place(hidden + Math.max(...sizes) + widest * widest + rows * widest);
      room(top);
      view.set(x, input >> 2);
      copyRows(target, nets * rows, outputs, view, wanted >> 2, wide);
      count++;
      const t = done + count;
      sum += step(
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
      spread(values, net.shapes, nets, view, address >> 2, size, true);
    return sum / count;
  };
}

/** The nets' arrays into the kernel's layout: net by net, columns padded with zeros; or `back`. */
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
    const rows = elements(shape) / nets / cols;
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

function copyRows(
  source: Float32Array,
  rows: number,
  cols: number,
  view: Float32Array,
  at: number,
  wide: number,
): void {
  for (let i = 0, q = 0; i < rows; i++, at += wide) {
    for (let j = 0; j < cols; j++) view[at + j] = source[q++];
    for (let j = cols; j < wide; j++) view[at + j] = 0;
  }
}
