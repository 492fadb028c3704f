import { UserError } from '../../../base/user-error.ts';
import type { Backend } from './backend.ts';

export const BACKENDS = ['wasm', 'cpu', 'tensorflow', 'webgpu'] as const;

export interface LoadOptions {
  /** The adapter that `webgpu` uses, counted from 0. */
  gpu?: number;
  /** Also load what is otherwise loaded when first needed. */
  now?: boolean;
}

/** Loads the backend of this name, which takes some time. UserError if it is not set up or does not load. */
export async function loadBackend(name: string, options: LoadOptions = {}): Promise<Backend> {
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
