import { createRequire } from 'node:module';
import { UserError } from '../../../base/user-error.ts';
import { findTensorflow, type TensorflowInstallation } from '../installed.ts';
import { BackendFailure, OutOfDeviceMemory } from './backend.ts';

/** Handle of a tensor in the binding. */
export type Id = number;

export interface Attribute {
  name: string;
  type: number;
  value: unknown;
}

/** The part of tfjs-node's native binding that is used here. Tensors share the memory of the arrays they are created from. */
export interface Binding {
  createTensor(shape: readonly number[], dtype: number, values: Float32Array | Int32Array): Id;
  deleteTensor(id: Id): void;
  tensorDataSync(id: Id): Float32Array | Int32Array;
  executeOp(name: string, attributes: Attribute[], inputs: Id[], outputs: number): { id: Id }[];
  isUsingGpuDevice(): boolean;
  TF_Version: string;
  TF_FLOAT: number;
  TF_INT32: number;
  TF_ATTR_TYPE: number;
  TF_ATTR_BOOL: number;
  TF_ATTR_INT: number;
  TF_ATTR_STRING: number;
  TF_ATTR_SHAPE: number;
}

/**
 * Number GPUs as nvidia-smi does (CUDA would begin with the fastest), take GPU memory only as needed, no TF32 (10-bit
 * mantissas), deterministic kernels.
 */
const FORCED = {
  CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  NVIDIA_TF32_OVERRIDE: '0',
  TF_DETERMINISTIC_OPS: '1',
};
/** One core per worker. */
const DEFAULTS = { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '1', TF_CPP_MIN_LOG_LEVEL: '3' };

/** The installed TensorFlow, not loaded. UserError if it is not set up or is incomplete. */
export function usableTensorflow(): TensorflowInstallation {
  const installed = findTensorflow();
  if (!installed) throw new UserError('TensorFlow is not set up here; run: dpmesh setup tensorflow');
  if ('problem' in installed) throw new UserError(installed.problem);
  return installed;
}

/** Loads TensorFlow into this process. UserError if it is not set up, BackendFailure if it does not load. */
export function loadBinding(): Binding {
  const installed = usableTensorflow();
  // The library reads these while it is loaded.
  for (const [name, value] of Object.entries(DEFAULTS)) process.env[name] ??= value;
  Object.assign(process.env, FORCED);
  const require = createRequire(import.meta.url);
  const isVerbose = process.env.TF_CPP_MIN_LOG_LEVEL !== '3';
  let stderr: { hush(): void; restore(): void } | undefined;
  try {
    if (installed.quiet && !isVerbose) stderr = require(installed.quiet);
    stderr?.hush();
    const binding: Binding = require(installed.binding);
    if (installed.library && binding.TF_Version !== installed.library)
      throw new Error(`its version is ${binding.TF_Version}, but ${installed.library} was set up`);
    return binding;
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    throw new BackendFailure(
      `TensorFlow in ${installed.dir} does not load (${line}); run: dpmesh setup tensorflow`,
    );
  } finally {
    stderr?.restore();
  }
}

/** TensorFlow's error RESOURCE_EXHAUSTED as an OutOfDeviceMemory; any other error unchanged. */
export function explained(error: unknown, device: string): unknown {
  const message = String((error as Error)?.message);
  if (!/TF_Status: 8\b|OOM when allocating|failed to allocate memory/i.test(message)) return error;
  const shape = /shape\s*\[([\d,]+)\]/.exec(message)?.[1];
  const bytes = shape ? 4 * shape.split(',').reduce((product, size) => product * Number(size), 1) : null;
  return new OutOfDeviceMemory(device, bytes);
}
