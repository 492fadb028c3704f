import type { Memory } from './host.ts';

/** What is used of WebAssembly, of which the types come with a browser's only. */
interface Pages {
  readonly buffer: ArrayBuffer;
  grow(pages: number): void;
}
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (pages: { initial: number; maximum: number }) => Pages };
};

const PAGE = 1 << 16;
const SMALLEST = 64;

/**
 * Memory whose tensors begin at multiples of 64 bytes, which a native library takes without copying them. Blocks are
 * powers of two; one that was freed serves the next of its size.
 */
export function arena(): Memory {
  const memory = new WebAssembly.Memory({ initial: 256, maximum: PAGE });
  const spare = new Map<number, number[]>();
  const sizes = new Map<number, number>();
  let top = SMALLEST;
  return {
    allocate(size) {
      const bytes = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(4 * size || 1)));
      let address = spare.get(bytes)?.pop();
      if (address === undefined) {
        address = top;
        top += bytes;
        const short = Math.ceil((top - memory.buffer.byteLength) / PAGE);
        // By an eighth at a time: each growth makes all views anew.
        if (short > 0) grow(Math.max(short, memory.buffer.byteLength / PAGE / 8));
      }
      sizes.set(address, bytes);
      return address;
    },
    release(address) {
      const bytes = sizes.get(address)!;
      const others = spare.get(bytes);
      if (others) others.push(address);
      else spare.set(bytes, [address]);
    },
    view: (address, size) => new Float32Array(memory.buffer, address, size),
  };

  function grow(pages: number): void {
    const left = PAGE - memory.buffer.byteLength / PAGE;
    try {
      memory.grow(Math.min(Math.ceil(pages), left));
    } catch {
      throw new Error('the memory of this worker has no room for more tensors');
    }
    if (memory.buffer.byteLength < top) throw new Error('a worker holds at most 4 GB of tensors');
  }
}
