import { readFileSync } from 'node:fs';
import { firstVisible } from '../gpus.ts';
import { STEPS_VERSION } from '../kernels/step-kernel.ts';
import { findGpus, memoryOf } from '../nvidia-smi.ts';
import type { Backend, Device } from './backend.ts';
import { loadBinding, usableTensorflow } from './tf-binding.ts';
import { TfDevice } from './tf-device.ts';

/** How old the answer of nvidia-smi may be, ms: it takes its time. */
const FRESH_MS = 5000;

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
    return new TfDevice(binding, identity(device.name), device);
  }
  // Nothing of them is needed on a GPU.
  const { TF_HOST_VERSION, TfHost } = await import('./tf-host.ts');
  const kernels = await (await import('./wasm.ts')).wasmKernels();
  const parts = [kernels.version, STEPS_VERSION, TF_HOST_VERSION].join('-');
  return new TfHost(loadBinding, identity(`${instructionSet()}+wasm-${parts}`), kernels);
}

/** The GPU or MIG instance that CUDA shows to this process first. Its name is part of the numeric identity. */
export async function cudaDevice(): Promise<Device> {
  const found = await findGpus();
  const device = 'gpus' in found ? firstVisible(found.gpus) : null;
  let known: { used: number; limit: number } | null = null;
  let asked = Number.NEGATIVE_INFINITY;
  return {
    name: device?.model ?? 'CUDA',
    memory() {
      if (device && performance.now() - asked > FRESH_MS) {
        asked = performance.now();
        void memoryOf(device.index, device.instance).then((memory) => {
          known = memory;
        });
      }
      return known;
    },
  };
}

/** The widest vectors of this processor: which kernels a library of several picks, and so its bits. */
function instructionSet(): string {
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
