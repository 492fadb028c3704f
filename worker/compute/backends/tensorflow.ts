import { readFileSync } from 'node:fs';
import { findGpus, firstVisible, memoryOf } from '../gpus.ts';
import { STEPS_VERSION } from '../kernels/step-kernel.ts';
import type { Backend, ComputeDevice } from './backend.ts';
import { loadBinding, usableTensorflow } from './tf-binding.ts';
import { tfDevice } from './tf-ops.ts';

/** How old a measurement of nvidia-smi may be, ms: a call is slow. */
const MEMORY_MAX_AGE_MS = 5000;

/**
 * TensorFlow through its C API: on CUDA, if its build and this machine support it, else on the CPU. The CPU build of
 * `dpmesh setup` is loaded when it is first needed, so never in a small run; `now` loads it here.
 */
export async function tensorflowBackend({ now = false } = {}): Promise<Backend> {
  const installed = usableTensorflow();
  const binding = now || installed.cuda || !installed.library ? loadBinding() : null;
  const version = binding?.TF_Version ?? installed.library;
  const identity = (where: string) => `tensorflow/${version}/${where.replaceAll(' ', '-')}`;
  if (binding?.isUsingGpuDevice()) {
    const device = await cudaDevice();
    return tfDevice(binding, identity(device.name), device);
  }
  // Loaded only here: a GPU needs none of them.
  const { TF_HOST_VERSION, tfHost } = await import('./tf-host.ts');
  const kernels = await (await import('./wasm.ts')).wasmKernels();
  const parts = [kernels.version, STEPS_VERSION, TF_HOST_VERSION].join('-');
  return tfHost(loadBinding, identity(`${instructionSet()}+wasm-${parts}`), kernels);
}

/** The first GPU or MIG instance that CUDA makes visible to this process. Its name is part of the numeric identity. */
export async function cudaDevice(): Promise<ComputeDevice> {
  const listing = await findGpus();
  const device = 'gpus' in listing ? firstVisible(listing.gpus) : null;
  let latest: { used: number; limit: number } | null = null;
  let queriedAt = Number.NEGATIVE_INFINITY;
  return {
    name: device?.model ?? 'CUDA',
    memory() {
      if (device && performance.now() - queriedAt > MEMORY_MAX_AGE_MS) {
        queriedAt = performance.now();
        void memoryOf(device.index, device.instance).then((memory) => {
          latest = memory;
        });
      }
      return latest;
    },
  };
}

/** The widest vector instructions of this processor: they decide which kernels TensorFlow picks, and so its bits. */
function instructionSet(): string {
  if (process.arch !== 'x64') return process.arch;
  let flags = '';
  try {
    flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  } catch {
    return process.arch; // Not Linux: unknown.
  }
  const has = (...names: string[]) => names.every((name) => ` ${flags} `.includes(` ${name} `));
  if (has('avx512f', 'avx512bw', 'avx512dq', 'avx512vl')) return 'avx512';
  if (has('avx2', 'fma')) return 'avx2';
  return has('avx') ? 'avx' : 'sse';
}
