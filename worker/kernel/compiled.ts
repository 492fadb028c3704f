import { existsSync, readFileSync } from 'node:fs';

/** What is used of it; TypeScript declares it for browsers only. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Record<string, unknown> };
};

const PAGE = 65536;
const ALIGNMENT = 16;

export type Call = (...args: number[]) => number;

/** A kernel with memory of its own, which grows and is handed out from the bottom up. */
export interface Kernel<Name extends string> {
  calls: Record<Name, Call>;
  /** Where the first byte is the caller's. */
  start: number;
  /** The memory as it is now: good until the next `room`. */
  buffer(): ArrayBuffer;
  /** Makes the memory reach to this address. */
  room(end: number): void;
}

/** The next place behind an array of so many bytes that starts at `at`. */
export const behind = (at: number, bytes: number) =>
  at + Math.ceil(Math.max(bytes, 1) / ALIGNMENT) * ALIGNMENT;

/** What `npm run build` makes of assembly/; sources run by tsx find it there too. */
function compiled(): object {
  const places = ['./kernel.wasm', '../../dist/worker/kernel/kernel.wasm'];
  const found = places.map((place) => new URL(place, import.meta.url)).find((place) => existsSync(place));
  if (!found) throw new Error('worker/kernel/kernel.wasm is missing: run npm run build');
  return new WebAssembly.Module(new Uint8Array(readFileSync(found)));
}

let module: object | undefined;

export function instantiate<Name extends string>(): Kernel<Name> {
  module ??= compiled();
  const memory = new WebAssembly.Memory({ initial: 16 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const calls = exports as Record<Name | 'start', Call>;
  return {
    calls,
    start: behind(calls.start(), 1),
    buffer: () => memory.buffer,
    room(end) {
      const missing = end - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    },
  };
}
