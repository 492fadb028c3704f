import type { Backend } from './backend.ts';
export async function webgpuBackend(gpu = 0): Promise<Backend> {
  throw new Error(`not yet ${gpu}`);
}
