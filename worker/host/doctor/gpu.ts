import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { findGpus } from '../../compute/gpus.ts';
import type { findTensorflow } from '../../compute/installed.ts';
import { type CheckResult, gib, ok, warning } from './check.ts';
import { whyNoGpu } from './no-gpu.ts';
import type { ProbeResult } from './probe.ts';
import type { BackendSpeed } from './probe-process.ts';

const SETUP = 'dpmesh setup tensorflow --cuda';

/** Checks whether there is an NVIDIA GPU and TensorFlow sees it; if not, why. */
export async function gpu(
  tensorflow: ReturnType<typeof findTensorflow>,
  loaded: ProbeResult<BackendSpeed> | null,
): Promise<CheckResult> {
  const listed = await findGpus();
  const speed = loaded && 'value' in loaded ? loaded.value : null;
  if (speed?.device) return ok('gpu', `TensorFlow computes on ${speed.device}`);
  if (!('gpus' in listed)) {
    // A GPU without a driver is a problem; no GPU is not.
    if (listed.kind !== 'absent') return warning('gpu', listed.problem, listed.remedy);
    return hasNvidiaCard()
      ? warning(
          'gpu',
          'there is an NVIDIA GPU, but no driver (no nvidia-smi)',
          'install the NVIDIA driver (not CUDA)',
        )
      : ok('gpu', 'no NVIDIA GPU and no driver (no nvidia-smi): dpmesh computes on the CPU');
  }
  const cards = listed.gpus
    .map(({ name, memory, mig }) => {
      const parts = [
        memory.total === null ? '' : gib(memory.total * 2 ** 20),
        mig.length ? `MIG instances ${mig.map(({ profile }) => profile).join(', ')}` : '',
      ];
      return `${name}${parts.some(Boolean) ? ` (${parts.filter(Boolean).join(', ')})` : ''}`;
    })
    .join(', ');
  const { driver } = listed.gpus[0] ?? { driver: '' };
  const gpus = `${cards}, driver ${driver}`;
  if (!tensorflow || 'problem' in tensorflow)
    return warning('gpu', `${gpus}; no backend that uses it is set up`, SETUP);
  if (!tensorflow.cuda) return warning('gpu', `${gpus}; TensorFlow was set up without CUDA`, SETUP);
  if (!speed) return warning('gpu', `${gpus}; TensorFlow does not load`, 'see the check of tensorflow above');
  const { problem, remedy } = whyNoGpu({
    stderr: loaded!.stderr,
    driver,
    visible: process.env.CUDA_VISIBLE_DEVICES,
    libraryPath: process.env.LD_LIBRARY_PATH,
  });
  return warning('gpu', `${gpus}; TensorFlow does not see it: ${problem}`, remedy);
}

/** Does Linux list a display controller or 3D accelerator of NVIDIA on the PCI bus? */
function hasNvidiaCard(): boolean {
  const bus = '/sys/bus/pci/devices';
  try {
    return readdirSync(bus).some((device) => {
      const of = (what: string) => readFileSync(join(bus, device, what), 'utf8').trim();
      return of('vendor') === '0x10de' && of('class').startsWith('0x03');
    });
  } catch {
    return false; // Not Linux, or no PCI.
  }
}

const ICD_FOLDERS = [
  '/usr/share/vulkan/icd.d',
  '/etc/vulkan/icd.d',
  '/usr/local/share/vulkan/icd.d',
  join(homedir(), '.local/share/vulkan/icd.d'),
];

/** What WebGPU can use: its adapters if it is set up, else the installed drivers. */
export function vulkan(adapters: ProbeResult<string[]> | null): CheckResult {
  if (adapters && 'value' in adapters && adapters.value.length)
    return ok('vulkan', adapters.value.join(', '));
  if (process.platform !== 'linux') return ok('vulkan', 'not needed: WebGPU uses Metal or Direct3D here');
  const drivers = vulkanDrivers();
  if (!drivers.length) return ok('vulkan', 'no Vulkan driver is installed, so WebGPU has no adapter');
  const names = drivers.join(', ');
  const nodes = renderNodes();
  if (!nodes.length)
    return ok('vulkan', `drivers ${names}; no GPU in /dev/dri, so WebGPU would run on the CPU (llvmpipe)`);
  const closed = nodes.filter((path) => !isOpen(path));
  if (closed.length)
    return warning(
      'vulkan',
      `drivers ${names}; you have no access to ${closed.join(', ')}`,
      `run sudo usermod -aG render ${process.env.USER ?? '$USER'}, and log in again`,
    );
  return ok('vulkan', `drivers ${names}; ${nodes.join(', ')}`);
}

function vulkanDrivers(): string[] {
  const named = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  const files = named ? named.split(':').filter((path) => existsSync(path)) : ICD_FOLDERS.flatMap(filesIn);
  return [
    ...new Set(
      files.filter((path) => path.endsWith('.json')).map((path) => basename(path).replace(/_icd.*$/, '')),
    ),
  ];
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

const renderNodes = () => filesIn('/dev/dri').filter((path) => basename(path).startsWith('renderD'));

function isOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
