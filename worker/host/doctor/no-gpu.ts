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

export interface NoGpuCause {
  problem: string;
  remedy: string;
}

/** The oldest Linux driver that supports CUDA 12 (NVIDIA: CUDA Compatibility). */
const OLDEST_DRIVER = 525;
const SETUP = 'dpmesh setup tensorflow --cuda';
const UPDATE = `install a newer NVIDIA driver (${OLDEST_DRIVER} or later for CUDA 12)`;

/** Why TensorFlow sees no GPU: the first known cause that fits. */
export function whyNoGpu({ stderr, driver, visible, libraryPath }: NoGpuClues): NoGpuCause {
  const setupRemedy = libraryPath
    ? `${SETUP}; or LD_LIBRARY_PATH (${libraryPath}) may have other versions of CUDA libraries: unset it`
    : SETUP;
  if (visible !== undefined && /^\s*(-1.*|none|nodevfiles|)\s*$/i.test(visible))
    return {
      problem: `CUDA_VISIBLE_DEVICES=${visible} hides every GPU`,
      remedy: 'unset CUDA_VISIBLE_DEVICES, or set it to a GPU that nvidia-smi -L lists',
    };
  if (driver !== null && Number.parseInt(driver, 10) < OLDEST_DRIVER)
    return { problem: `the NVIDIA driver ${driver} is too old for its CUDA`, remedy: UPDATE };
  if (
    /driver version is insufficient|forward compatibility was attempted|CUDA_ERROR_COMPAT_NOT_SUPPORTED/i.test(
      stderr,
    )
  )
    return {
      problem: `the NVIDIA driver ${driver ?? ''} is too old for its CUDA`.replace('  ', ' '),
      remedy: UPDATE,
    };
  const mismatch =
    /kernel version ([\d.]+) does not match DSO version ([\d.]+)|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH/i.exec(
      stderr,
    );
  if (mismatch)
    return {
      problem:
        `the driver in the kernel ${mismatch[1] ?? ''} does not match its libraries ${mismatch[2] ?? ''}`
          .replace(/ +/g, ' ')
          .trim(),
      remedy: 'restart the machine',
    };
  const cudnn = /Loaded runtime CuDNN library: ([\d.]+\d) but source was compiled with: ([\d.]+\d)/i.exec(
    stderr,
  );
  if (cudnn)
    return {
      problem: `it needs cuDNN ${cudnn[2]}, but loads ${cudnn[1]}`,
      remedy: libraryPath
        ? `remove the older cuDNN from LD_LIBRARY_PATH (${libraryPath})`
        : `remove the older cuDNN of this system, or run ${SETUP}`,
    };
  const missing = [...stderr.matchAll(/(?:dynamic library|load library) '?(lib[\w+-]+\.so[.\d]*)'?/gi)].map(
    ([, name]) => name,
  );
  const library =
    missing.find((name) => name.startsWith('libcudnn')) ??
    missing.find((name) => !name.startsWith('libcuda.'));
  if (library)
    return {
      problem: `${library.startsWith('libcudnn') ? 'cuDNN' : 'a CUDA library'} is missing (${[...new Set(missing)].join(', ')})`,
      remedy: setupRemedy,
    };
  if (/CuDNN library is not found|CUDNN_STATUS_NOT_INITIALIZED|DNN library is not found/i.test(stderr))
    return { problem: 'cuDNN is missing or does not start', remedy: SETUP };
  if (/Cannot dlopen some GPU libraries|Could not find cuda drivers/i.test(stderr) && driver !== null)
    return {
      problem: 'it does not find the CUDA libraries',
      remedy: setupRemedy,
    };
  const capability =
    /compute capability[:\s]+([\d.]+\d).*minimum required Cuda capability is ([\d.]+\d)/is.exec(stderr);
  if (capability)
    return {
      problem: `the GPU has compute capability ${capability[1]}, but TensorFlow needs ${capability[2]}`,
      remedy: 'use --backend webgpu with this GPU (dpmesh setup webgpu)',
    };
  if (/CUDA_ERROR_NO_DEVICE|no CUDA-capable device/i.test(stderr))
    return {
      problem: 'the driver makes no GPU available to CUDA',
      remedy: 'give this container or job a GPU (docker run --gpus all, Slurm --gres)',
    };
  if (
    driver === null ||
    /cuInit: UNKNOWN ERROR \(303\)|does not appear to be running on this host|libcuda\.so/i.test(stderr)
  )
    return {
      problem: 'there is no NVIDIA driver on this host',
      remedy: 'install the NVIDIA driver (not CUDA)',
    };
  const failed = /failed call to cuInit: ([^\n]+)/i.exec(stderr);
  return {
    problem: failed ? `CUDA does not start: ${failed[1].trim().slice(0, 200)}` : 'TensorFlow gives no reason',
    remedy:
      'run nvidia-smi to see whether the driver works; after an update of the driver, restart the machine',
  };
}
