/** What a CUDA build of TensorFlow said when it was loaded and saw no GPU, and what else is known. */
export interface NoGpuClues {
  /** Its stderr, TF_CPP_MIN_LOG_LEVEL=0. */
  said: string;
  /** By nvidia-smi; null where it lists no GPU. */
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

/** The first driver of Linux that runs programs of CUDA 12 (NVIDIA, CUDA compatibility). */
const OLDEST_DRIVER = 525;
const AGAIN = 'dpmesh setup tensorflow --cuda';
const UPDATE = `install a newer NVIDIA driver (${OLDEST_DRIVER} or later for CUDA 12)`;

/** Why TensorFlow sees no GPU: the first of the known reasons that fits. */
export function whyNoGpu({ said, driver, visible, libraryPath }: NoGpuClues): NoGpuCause {
  if (visible !== undefined && /^\s*(-1.*|none|nodevfiles|)\s*$/i.test(visible))
    return {
      problem: `CUDA_VISIBLE_DEVICES=${visible} hides every GPU`,
      remedy: 'unset CUDA_VISIBLE_DEVICES, or name a GPU of nvidia-smi -L',
    };
  if (driver !== null && Number.parseInt(driver, 10) < OLDEST_DRIVER)
    return { problem: `the NVIDIA driver ${driver} is too old for its CUDA`, remedy: UPDATE };
  if (
    /driver version is insufficient|forward compatibility was attempted|CUDA_ERROR_COMPAT_NOT_SUPPORTED/i.test(
      said,
    )
  )
    return {
      problem: `the NVIDIA driver ${driver ?? ''} is too old for its CUDA`.replace('  ', ' '),
      remedy: UPDATE,
    };
  const mismatch =
    /kernel version ([\d.]+) does not match DSO version ([\d.]+)|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH/i.exec(
      said,
    );
  if (mismatch)
    return {
      problem:
        `the driver in the kernel ${mismatch[1] ?? ''} is not that of its libraries ${mismatch[2] ?? ''}`
          .replace(/ +/g, ' ')
          .trim(),
      remedy: 'restart the machine',
    };
  const cudnn = /Loaded runtime CuDNN library: ([\d.]+\d) but source was compiled with: ([\d.]+\d)/i.exec(
    said,
  );
  if (cudnn)
    return {
      problem: `it finds cuDNN ${cudnn[1]} and needs ${cudnn[2]}`,
      remedy: libraryPath
        ? `take the older cuDNN out of LD_LIBRARY_PATH (${libraryPath})`
        : `remove the older cuDNN of this system, or: ${AGAIN}`,
    };
  const missing = [...said.matchAll(/(?:dynamic library|load library) '?(lib[\w+-]+\.so[.\d]*)'?/gi)].map(
    ([, name]) => name,
  );
  const library =
    missing.find((name) => name.startsWith('libcudnn')) ??
    missing.find((name) => !name.startsWith('libcuda.'));
  if (library)
    return {
      problem: `${library.startsWith('libcudnn') ? 'cuDNN' : 'a library of CUDA'} is missing (${[...new Set(missing)].join(', ')})`,
      remedy: libraryPath ? `${AGAIN}; or is LD_LIBRARY_PATH (${libraryPath}) in the way?` : AGAIN,
    };
  if (/CuDNN library is not found|CUDNN_STATUS_NOT_INITIALIZED|DNN library is not found/i.test(said))
    return { problem: 'cuDNN is missing or does not start', remedy: AGAIN };
  if (/Cannot dlopen some GPU libraries|Could not find cuda drivers/i.test(said) && driver !== null)
    return {
      problem: 'it does not find the libraries of CUDA',
      remedy: libraryPath ? `${AGAIN}; or is LD_LIBRARY_PATH (${libraryPath}) in the way?` : AGAIN,
    };
  const capability =
    /compute capability[:\s]+([\d.]+\d).*minimum required Cuda capability is ([\d.]+\d)/is.exec(said);
  if (capability)
    return {
      problem: `the card has compute capability ${capability[1]}, TensorFlow needs ${capability[2]}`,
      remedy: 'use --backend webgpu with this card (dpmesh setup webgpu)',
    };
  if (/CUDA_ERROR_NO_DEVICE|no CUDA-capable device/i.test(said))
    return {
      problem: 'the driver shows CUDA no device',
      remedy: 'is the GPU given to this container or job (docker run --gpus all, a Slurm --gres)?',
    };
  if (
    driver === null ||
    /cuInit: UNKNOWN ERROR \(303\)|does not appear to be running on this host|libcuda\.so/i.test(said)
  )
    return {
      problem: 'there is no NVIDIA driver on this host',
      remedy: 'install the NVIDIA driver (not CUDA)',
    };
  const failed = /failed call to cuInit: ([^\n]+)/i.exec(said);
  return {
    problem: failed
      ? `CUDA does not start: ${failed[1].trim().slice(0, 200)}`
      : 'TensorFlow does not say why',
    remedy: 'see nvidia-smi; after an update of the driver, restart the machine',
  };
}
