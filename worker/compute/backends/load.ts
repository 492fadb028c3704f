import { assertAddressSpace } from '../../../base/limits.ts';
import { UserError } from '../../../base/user-error.ts';
import type { Backend } from './backend.ts';

export const BACKENDS = ['wasm', 'cpu', 'tensorflow', 'webgpu'] as const;

export interface LoadOptions {
  /** Which adapter `webgpu` takes, counted from 0. */
  gpu?: number;
  /** Also what would only be loaded when it is first needed. */
  now?: boolean;
}

/** Memories of WebAssembly in a worker: TensorFlow.js' own, and one for each kernel of ours. Another backend has one kernel. */
const MEMORIES: Record<string, number> = { wasm: 4, tensorflow: 4 };

/** UserError where a worker with this backend would get no memory, however little it needs. */
export const assertAddressSpaceFor = (backend: string) => assertAddressSpace(MEMORIES[backend] ?? 1);

/** The backend of this name, loaded only now: each takes its time. UserError if it is not set up, or does not load. */
export async function loadBackend(name: string, options: LoadOptions = {}): Promise<Backend> {
  assertAddressSpaceFor(name);
  switch (name) {
    case 'cpu':
      return (await import('./cpu.ts')).cpuBackend();
    case 'wasm':
      return (await import('./wasm.ts')).wasmBackend();
    case 'tensorflow':
      return (await import('./tensorflow.ts')).tensorflowBackend(options);
    case 'webgpu':
      return (await import('./webgpu.ts')).webgpuBackend(options.gpu);
    default:
      throw new UserError(`--backend ${name} is none of ${BACKENDS.join(', ')}`);
  }
}
