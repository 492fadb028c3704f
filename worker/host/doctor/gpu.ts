import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findGpus } from '../../compute/gpus.ts';
import type { findTensorflow } from '../../compute/installed.ts';
import { type CheckResult, gib, ok, warning } from './machine.ts';
import type { ProbeResult } from './probe.ts';
import type { BackendSpeed } from './probe-process.ts';

/** The checks of `doctor` on GPUs: what is there, what sees it, and why not. It installs nothing. */

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
  const cards = listed.gpus.map(({ name, memory, mig }) => {
    const size = memory === null ? [] : [gib(memory * 2 ** 20)];
    const instances = mig.length ? [`MIG instances ${mig.map(({ profile }) => profile).join(', ')}`] : [];
    const parts = [...size, ...instances].join(', ');
    return parts ? `${name} (${parts})` : name;
  });
  const driver = listed.gpus[0]?.driver ?? '';
  const gpus = `${cards.join(', ')}, driver ${driver}`;
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

/** What WebGPU can use: its adapters if it is set up, else the GPUs that Linux shows. */
export function vulkan(adapters: ProbeResult<string[]> | null): CheckResult {
  if (adapters && 'value' in adapters && adapters.value.length)
    return ok('vulkan', adapters.value.join(', '));
  if (process.platform !== 'linux') return ok('vulkan', 'not needed: WebGPU uses Metal or Direct3D here');
  const devices = existsSync('/dev/dri') ? readdirSync('/dev/dri') : [];
  const nodes = devices.filter((name) => name.startsWith('renderD')).map((name) => `/dev/dri/${name}`);
  if (!nodes.length) return ok('vulkan', 'no GPU in /dev/dri, so WebGPU would run on the CPU, if at all');
  const closed = nodes.filter((path) => !isOpen(path));
  if (!closed.length) return ok('vulkan', nodes.join(', '));
  return warning(
    'vulkan',
    `you have no access to ${closed.join(', ')}`,
    `run sudo usermod -aG render ${process.env.USER ?? '$USER'}, and log in again`,
  );
}

function isOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is known about a CUDA build of TensorFlow that sees no GPU. */
export interface NoGpuClues {
  /** TensorFlow's stderr with TF_CPP_MIN_LOG_LEVEL=0. */
  stderr: string;
  /** The driver's version by nvidia-smi; null if that lists no GPU. */
  driver: string | null;
  /** $CUDA_VISIBLE_DEVICES. */
  visible?: string;
  /** $LD_LIBRARY_PATH. */
  libraryPath?: string;
}

/** The oldest Linux driver that supports CUDA 12 (NVIDIA: CUDA Compatibility). */
const OLDEST_DRIVER = 525;
const UPDATE = `install a newer NVIDIA driver (${OLDEST_DRIVER} or later for CUDA 12)`;

/** Why TensorFlow sees no GPU, and what to do: the first known cause that fits. */
export function whyNoGpu({ stderr, driver, visible, libraryPath }: NoGpuClues) {
  const cause = (problem: string, remedy: string) => ({
    problem: problem.replace(/ +/g, ' ').trim(),
    remedy,
  });
  const found = (pattern: RegExp) => pattern.exec(stderr);
  const setUpAgain = libraryPath
    ? `${SETUP}; or LD_LIBRARY_PATH (${libraryPath}) may have other versions of CUDA libraries: unset it`
    : SETUP;

  if (visible !== undefined && /^\s*(-1.*|none|nodevfiles|)\s*$/i.test(visible))
    return cause(
      `CUDA_VISIBLE_DEVICES=${visible} hides every GPU`,
      'unset CUDA_VISIBLE_DEVICES, or set it to a GPU that nvidia-smi -L lists',
    );
  const isOld = driver !== null && Number.parseInt(driver, 10) < OLDEST_DRIVER;
  if (
    isOld ||
    found(/driver version is insufficient|forward compatibility was attempted|_COMPAT_NOT_SUPPORTED/i)
  )
    return cause(`the NVIDIA driver ${driver ?? ''} is too old for its CUDA`, UPDATE);
  const mismatch = found(
    /kernel version ([\d.]+) does not match DSO version ([\d.]+)|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH/i,
  );
  if (mismatch) {
    const [kernel = '', libraries = ''] = mismatch.slice(1);
    return cause(
      `the driver in the kernel ${kernel} does not match its libraries ${libraries}`,
      'restart the machine',
    );
  }
  const cudnn = found(/Loaded runtime CuDNN library: ([\d.]+\d) but source was compiled with: ([\d.]+\d)/i);
  if (cudnn)
    return cause(
      `it needs cuDNN ${cudnn[2]}, but loads ${cudnn[1]}`,
      libraryPath
        ? `remove the older cuDNN from LD_LIBRARY_PATH (${libraryPath})`
        : `remove the older cuDNN of this system, or run ${SETUP}`,
    );
  const missing = [...stderr.matchAll(/(?:dynamic library|load library) '?(lib[\w+-]+\.so[.\d]*)'?/gi)].map(
    ([, name]) => name,
  );
  const isCudnn = missing.some((name) => name.startsWith('libcudnn'));
  if (isCudnn || missing.some((name) => !name.startsWith('libcuda.')))
    return cause(
      `${isCudnn ? 'cuDNN' : 'a CUDA library'} is missing (${[...new Set(missing)].join(', ')})`,
      setUpAgain,
    );
  if (found(/CuDNN library is not found|CUDNN_STATUS_NOT_INITIALIZED|DNN library is not found/i))
    return cause('cuDNN is missing or does not start', SETUP);
  if (driver !== null && found(/Cannot dlopen some GPU libraries|Could not find cuda drivers/i))
    return cause('it does not find the CUDA libraries', setUpAgain);
  const capability = found(
    /compute capability[:\s]+([\d.]+\d).*minimum required Cuda capability is ([\d.]+\d)/is,
  );
  if (capability)
    return cause(
      `the GPU has compute capability ${capability[1]}, but TensorFlow needs ${capability[2]}`,
      'use --backend webgpu with this GPU (dpmesh setup webgpu)',
    );
  if (found(/CUDA_ERROR_NO_DEVICE|no CUDA-capable device/i))
    return cause(
      'the driver makes no GPU available to CUDA',
      'give this container or job a GPU (docker run --gpus all, Slurm --gres)',
    );
  const isAbsent = found(/UNKNOWN ERROR \(303\)|does not appear to be running on this host|libcuda\.so/i);
  if (driver === null || isAbsent)
    return cause('there is no NVIDIA driver on this host', 'install the NVIDIA driver (not CUDA)');
  const failed = found(/failed call to cuInit: ([^\n]+)/i)?.[1]
    .trim()
    .slice(0, 200);
  return cause(
    failed ? `CUDA does not start: ${failed}` : 'TensorFlow gives no reason',
    'run nvidia-smi to see whether the driver works; after an update of the driver, restart the machine',
  );
}
