import type { Backend } from './backend.ts';
import { HostBackend } from './host.ts';

/** Plain loops with float64 sums: the reference in tests, and a worker's choice where WebAssembly is not allowed. */
export function cpuBackend(): Backend {
  const blocks = new Map<number, Float32Array>();
  // An address counts bytes and never comes back, so a verb may point into the middle of a block.
  let top = 4;
  const blockOf = (address: number) => {
    const block = blocks.get(address);
    if (block) return { block, offset: 0 };
    for (const [start, values] of blocks) {
      const offset = (address - start) / 4;
      if (offset > 0 && offset < values.length) return { block: values, offset };
    }
    throw new Error(`no tensor at ${address}`);
  };
  const view = (address: number, size: number) => {
    const { block, offset } = blockOf(address);
    return block.subarray(offset, offset + size);
  };
  return new HostBackend(
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
    (a, m, k, b, n, bias, relu, out) => {
      const left = view(a, m * k);
      const right = view(b, k * n);
      const result = view(out, m * n);
      const add = bias ? view(bias, n) : undefined;
      const row = new Float64Array(n);
      for (let i = 0; i < m; i++) {
        if (add) row.set(add);
        else row.fill(0);
        for (let p = 0; p < k; p++) {
          const value = left[i * k + p];
          for (let j = 0, q = p * n; j < n; j++, q++) row[j] += value * right[q];
        }
        for (let j = 0; j < n; j++) result[i * n + j] = relu && row[j] < 0 ? 0 : row[j];
      }
    },
  );
}
