import type { Backend } from './backend.ts';
export async function tensorflowBackend(): Promise<Backend> {
  throw new Error('not yet');
}
