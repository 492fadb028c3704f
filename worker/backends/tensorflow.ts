import { STEPS_VERSION } from '../kernel/kernel.ts';
import type { Backend } from './backend.ts';
import { cudaDevice } from './cuda-device.ts';
import { instructionSet } from './instruction-set.ts';
import { loadBinding } from './tf-binding.ts';
import { tfDevice } from './tf-device.ts';
import { tfHost } from './tf-host.ts';

/** TensorFlow by its C interface: on CUDA, where its build and this machine have it, else on the CPU. */
export async function tensorflowBackend(): Promise<Backend> {
  const binding = loadBinding();
  const identity = (where: string) => `tensorflow/${binding.TF_Version}/${where.replaceAll(' ', '-')}`;
  if (!binding.isUsingGpuDevice()) {
    const kernels = await (await import('./wasm.ts')).wasmKernels();
    return tfHost(binding, identity(`${instructionSet()}+wasm-${kernels.version}-${STEPS_VERSION}`), kernels);
  }
  const device = cudaDevice();
  return tfDevice(binding, identity(device.name), device);
}
