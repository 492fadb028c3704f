import { firstVisible } from '../gpus.ts';
import { findGpus, memoryOf } from '../nvidia-smi.ts';
import type { Device } from './backend.ts';

/** How old the answer of nvidia-smi may be, ms: it takes its time. */
const FRESH_MS = 5000;

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
