import { STEPS_VERSION } from '../kernels/step-kernel.ts';
import type { Backend } from './backend.ts';
import { cudaDevice } from './cuda-device.ts';
import { instructionSet } from './instruction-set.ts';
import { loadBinding, usableTensorflow } from './tf-binding.ts';
import { tfDevice } from './tf-device.ts';
import { TF_HOST_VERSION, tfHost } from './tf-host.ts';

/**
 * TensorFlow by its C interface: on CUDA, where its build and this machine have it, else on the CPU. A build for the CPU
 * of our own is loaded when it is first needed, which a small run never does; `now` loads it here.
 */
export async function tensorflowBackend({ now = false } = {}): Promise<Backend> {
  const found = usableTensorflow();
  const binding = now || found.cuda || !found.library ? loadBinding() : null;
  const version = binding?.TF_Version ?? found.library;
  const identity = (where: string) => `tensorflow/${version}/${where.replaceAll(' ', '-')}`;
  if (binding?.isUsingGpuDevice()) {
    const device = await cudaDevice();
    return tfDevice(binding, identity(device.name), device);
  }
  const kernels = await (await import('./wasm.ts')).wasmKernels();
  const parts = [kernels.version, STEPS_VERSION, TF_HOST_VERSION].join('-');
  return tfHost(loadBinding, identity(`${instructionSet()}+wasm-${parts}`), kernels);
}
