// The messages of several versions of TensorFlow that see no GPU, and the cause that dpmesh derives from each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NoGpuClues, whyNoGpu } from '../../../worker/host/doctor/gpu.ts';

const cases: [name: string, clues: Partial<NoGpuClues>, problem: RegExp, remedy: RegExp][] = [
  [
    'no driver',
    { driver: null, stderr: 'E cuda_driver.cc:266] failed call to cuInit: UNKNOWN ERROR (303)\n' },
    /no NVIDIA driver/,
    /install the NVIDIA driver/,
  ],
  [
    'a driver too old, by its number',
    { driver: '470.223.02', stderr: '' },
    /driver 470\.223\.02 is too old/,
    /525 or later/,
  ],
  [
    'a driver too old, by what CUDA says',
    {
      stderr: 'cudaGetDevice() failed. Status: CUDA driver version is insufficient for CUDA runtime version',
    },
    /driver 550\.54\.15 is too old/,
    /newer NVIDIA driver/,
  ],
  [
    'a driver that was updated under the kernel',
    {
      stderr:
        'E cuda_diagnostics.cc:312] kernel version 535.104.5 does not match DSO version 550.54.15 -- cannot find working devices in this configuration',
    },
    /kernel 535\.104\.5 does not match its libraries 550\.54\.15/,
    /restart the machine/,
  ],
  [
    'cuDNN is missing',
    {
      stderr: [
        "W dso_loader.cc:64] Could not load dynamic library 'libcudnn.so.8'; dlerror: libcudnn.so.8: cannot open shared object file: No such file or directory",
        'W gpu_device.cc:1850] Cannot dlopen some GPU libraries. Please make sure the missing libraries mentioned above are installed properly if you would like to use GPU.',
        'Skipping registering GPU devices...',
      ].join('\n'),
    },
    /cuDNN is missing \(libcudnn\.so\.8\)/,
    /dpmesh setup tensorflow --cuda/,
  ],
  [
    'an older cuDNN on the library path',
    {
      libraryPath: '/opt/cuda-11/lib64',
      stderr:
        'E cuda_dnn.cc:535] Loaded runtime CuDNN library: 8.9.2 but source was compiled with: 9.3.0.  CuDNN library needs to have matching major version and equal or higher minor version.',
    },
    /needs cuDNN 9\.3\.0, but loads 8\.9\.2/,
    /LD_LIBRARY_PATH \(\/opt\/cuda-11\/lib64\)/,
  ],
  [
    'CUDA is missing',
    {
      stderr:
        "W dso_loader.cc:64] Could not load dynamic library 'libcudart.so.12'; dlerror: libcudart.so.12: cannot open shared object file: No such file or directory",
    },
    /CUDA library is missing \(libcudart\.so\.12\)/,
    /setup tensorflow --cuda$/,
  ],
  [
    'CUDA is not found, a library path is set',
    {
      libraryPath: '/opt/lib',
      stderr: 'I cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be used.',
    },
    /does not find the CUDA libraries/,
    /LD_LIBRARY_PATH \(\/opt\/lib\) may have other versions/,
  ],
  [
    'a container without the GPU',
    {
      stderr:
        'E cuda_platform.cc:51] failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
    },
    /makes no GPU available to CUDA/,
    /docker run --gpus all/,
  ],
  [
    'an old card',
    {
      stderr:
        'I gpu_device.cc:2306] Ignoring visible gpu device (device: 0, name: Tesla K40m, pci bus id: 0000:02:00.0, compute capability: 3.5) with compute capability 3.5. The minimum required Cuda capability is 6.0.',
    },
    /compute capability 3\.5, but TensorFlow needs 6\.0/,
    /--backend webgpu/,
  ],
  ['hidden', { visible: '-1', stderr: 'anything' }, /CUDA_VISIBLE_DEVICES=-1 hides/, /unset/],
  ['hidden by nothing', { visible: '', stderr: 'anything' }, /CUDA_VISIBLE_DEVICES= hides/, /unset/],
  [
    'something new',
    { stderr: 'E cuda.cc:1] failed call to cuInit: INTERNAL: CUDA error: CUDA_ERROR_ODD: odd\nmore' },
    /CUDA does not start: INTERNAL: CUDA error: CUDA_ERROR_ODD: odd$/,
    /nvidia-smi/,
  ],
  ['silence', { stderr: '' }, /gives no reason/, /nvidia-smi/],
];

for (const [name, clues, problem, remedy] of cases)
  test(name, () => {
    const why = whyNoGpu({ stderr: '', driver: '550.54.15', visible: undefined, ...clues });
    assert.match(why.problem, problem);
    assert.match(why.remedy, remedy);
  });
