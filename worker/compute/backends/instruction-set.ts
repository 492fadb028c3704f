import { readFileSync } from 'node:fs';

/** The widest vectors of this processor: which kernels a library of several picks, and so its bits. */
export function instructionSet(): string {
  if (process.arch !== 'x64') return process.arch;
  let flags = '';
  try {
    flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  } catch {
    return process.arch; // Not Linux: nobody says.
  }
  const has = (...names: string[]) => names.every((name) => ` ${flags} `.includes(` ${name} `));
  if (has('avx512f', 'avx512bw', 'avx512dq', 'avx512vl')) return 'avx512';
  if (has('avx2', 'fma')) return 'avx2';
  return has('avx') ? 'avx' : 'sse';
}
