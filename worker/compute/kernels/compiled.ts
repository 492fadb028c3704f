import { existsSync, readFileSync } from 'node:fs';

/** What is used of it; TypeScript declares it for browsers only. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Record<string, unknown> };
};

const PAGE = 65536;
const ALIGNMENT = 16;
const aligned = (address: number) => Math.ceil(address / ALIGNMENT) * ALIGNMENT;

export type Call = (...args: number[]) => number;

/** A kernel with memory of its own, which grows and is handed out from the bottom up. */
export interface Kernel<Name extends string> {
  calls: Record<Name, Call>;
  /** The memory as it is now: good until the next `place`, with which it may grow. */
  buffer(): ArrayBuffer;
  /** Room for so many bytes, behind what was placed before. */
  place(bytes: number): number;
  /** Where the next array will be. */
  top(): number;
  /** Gives up what was placed from this address on; without one, all. */
  restart(at?: number): void;
}

/** Widths of rows are multiples of 4 in a kernel: of a vector. */
export const padded = (width: number) => (width + 3) & ~3;

/** Rows of `cols` numbers into rows of `wide`, the rest of each zeros. */
export function copyRows(
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

/** What `npm run build` makes of assembly/; sources run by tsx find it there too. */
function compiled(): object {
  const places = ['./kernel.wasm', '../../../dist/worker/compute/kernels/kernel.wasm'];
  const found = places.map((place) => new URL(place, import.meta.url)).find((place) => existsSync(place));
  if (!found) throw new Error('kernel.wasm is missing: run npm run build');
  return new WebAssembly.Module(new Uint8Array(readFileSync(found)));
}

let module: object | undefined;

export function instantiate<Name extends string>(): Kernel<Name> {
  module ??= compiled();
  const memory = new WebAssembly.Memory({ initial: 16 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const calls = exports as Record<Name | 'start', Call>;
  const start = aligned(calls.start());
  let top = start;
  return {
    calls,
    buffer: () => memory.buffer,
    place(bytes) {
      const at = top;
      top = aligned(at + Math.max(bytes, 1));
      const missing = top - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
      return at;
    },
    top: () => top,
    restart(at = start) {
      top = at;
    },
  };
}
