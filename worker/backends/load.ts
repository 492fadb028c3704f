import type { Backend } from './backend.ts';

/** The backend of this name, loaded only now: TensorFlow.js takes its time. */
export async function loadBackend(name: string): Promise<Backend> {
  if (name === 'cpu') return (await import('./cpu.ts')).cpuBackend();
  return (await import('./wasm.ts')).wasmBackend();
}
