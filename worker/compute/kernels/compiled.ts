import { existsSync, readFileSync } from 'node:fs';

/** The part that is used here; TypeScript declares WebAssembly for browsers only. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Record<string, unknown> };
};

const PAGE = 65536;
const ALIGNMENT = 16;
const aligned = (address: number) => Math.ceil(address / ALIGNMENT) * ALIGNMENT;

type Call = (...args: number[]) => number;

/** The width of rows in a kernel: the next multiple of 4, the length of a SIMD vector. */
export const padded = (width: number) => (width + 3) & ~3;

/** Copies rows of `cols` numbers into rows of `wide` at index `at` of `view`, padded with zeros. */
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

/** The module that `npm run build` compiles from assembly/. Sources that run under tsx use the one in dist/. */
function loadModule(): object {
  const paths = ['./kernel.wasm', '../../../dist/worker/compute/kernels/kernel.wasm'];
  const url = paths.map((path) => new URL(path, import.meta.url)).find((candidate) => existsSync(candidate));
  if (!url) throw new Error('kernel.wasm is missing: run npm run build');
  return new WebAssembly.Module(new Uint8Array(readFileSync(url)));
}

let module: object | undefined;

/** A kernel with a memory of its own, which grows and is allocated as a stack. */
export function instantiate<Name extends string>() {
  module ??= loadModule();
  const memory = new WebAssembly.Memory({ initial: 16 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const calls = exports as Record<Name | 'start', Call>;
  const start = aligned(calls.start());
  let top = start;
  return {
    calls: calls as Record<Name, Call>,
    /** The current memory: valid until the next `allocate`, which may grow it. */
    buffer: () => memory.buffer,
    /** Allocates this many bytes at the top of the stack. Returns their address. */
    allocate(bytes: number) {
      const at = top;
      top = aligned(at + Math.max(bytes, 1));
      const missing = top - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
      return at;
    },
    /** The address of the next allocation. */
    top: () => top,
    /** Frees everything from this address on; by default all. */
    reset(at = start) {
      top = at;
    },
  };
}
