import { product } from '../../../model/nets/net.ts';
import type { Backend } from './backend.ts';
import { hostBackend } from './host.ts';

/** Plain loops with float64 sums: the reference in tests, and the fallback where WebAssembly is not allowed. */
export function cpuBackend(): Backend {
  const blocks = new Map<number, Float32Array>();
  // Addresses are in bytes and never reused; an operation may use one in the middle of a block.
  let top = 4;
  const view = (address: number, size: number) => {
    const block = blocks.get(address);
    if (block) return block.subarray(0, size);
    for (const [start, values] of blocks) {
      const offset = (address - start) / 4;
      if (offset > 0 && offset < values.length) return values.subarray(offset, offset + size);
    }
    throw new Error(`no tensor at ${address}`);
  };
  return hostBackend(
    'cpu/1',
    {
      allocate(size) {
        const address = top;
        top += 4 * Math.max(size, 1);
        blocks.set(address, new Float32Array(size));
        return address;
      },
      release: (address) => void blocks.delete(address),
      view,
    },
    (a, m, k, b, n, bias, relu, out) =>
      product(view(a, m * k), m, k, view(b, k * n), n, bias ? view(bias, n) : null, relu, view(out, m * n)),
  );
}
