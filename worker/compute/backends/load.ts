import { BACKENDS } from '../../../base/identity.ts';
import { assertAddressSpace } from '../../../base/limits.ts';
import { UserError } from '../../../base/user-error.ts';
import type { Backend } from './backend.ts';

export interface LoadOptions {
  /** The adapter that `webgpu` uses, counted from 0. */
  gpu?: number;
  /** Also load what is otherwise loaded when first needed. */
  now?: boolean;
}

/** WebAssembly memories in a worker: that of TensorFlow.js and one for each of our kernels. Other backends use one kernel. */
const MEMORIES: Record<string, number> = { wasm: 4, tensorflow: 4 };

/** UserError if the address space is too small for a worker with this backend. */
export const assertAddressSpaceFor = (backend: string) => assertAddressSpace(MEMORIES[backend] ?? 1);

/** Loads the backend of this name, which takes some time. UserError if it is not set up or does not load. */
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
      throw new UserError(
        `--backend ${name}: there is no such backend; choose one of ${BACKENDS.join(', ')}`,
      );
  }
}
