import { createRequire } from 'node:module';
import { UserError } from '../../../base/user-error.ts';
import { type Found, findTensorflow } from '../installed.ts';
import { OutOfDeviceMemory, Unable } from './errors.ts';

/** A tensor of the binding. */
export type Id = number;

export interface Attribute {
  name: string;
  type: number;
  value: unknown;
}

/** What is used of tfjs-node's native binding. It shares the memory of arrays that it is given. */
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
 * As much memory of a GPU as it needs, no ten-bit products, the same bits every time; GPUs counted as nvidia-smi counts
 * them, where CUDA would begin with the fastest.
 */
const FORCED = {
  CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  NVIDIA_TF32_OVERRIDE: '0',
  TF_DETERMINISTIC_OPS: '1',
};
/** One core a worker. */
const DEFAULTS = { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '1', TF_CPP_MIN_LOG_LEVEL: '3' };

/** Where TensorFlow is. UserError where it is not set up, or not whole; loads nothing. */
export function usableTensorflow(): Found {
  const found = findTensorflow();
  if (!found) throw new UserError('TensorFlow is not set up here; run: dpmesh setup tensorflow');
  if ('problem' in found) throw new UserError(found.problem);
  return found;
}

/** Loads TensorFlow into this process, once and for all. UserError where it is not set up, Unable where it does not load. */
export function loadBinding(): Binding {
  const found = usableTensorflow();
  // Before the library is loaded: it reads them then, or never.
  for (const [name, value] of Object.entries(DEFAULTS)) process.env[name] ??= value;
  Object.assign(process.env, FORCED);
  const require = createRequire(import.meta.url);
  const talks = process.env.TF_CPP_MIN_LOG_LEVEL !== '3';
  let stderr: { hush(): void; restore(): void } | undefined;
  try {
    if (found.quiet && !talks) stderr = require(found.quiet);
    stderr?.hush();
    const binding: Binding = require(found.binding);
    if (found.library && binding.TF_Version !== found.library)
      throw new Error(`it is ${binding.TF_Version}, ${found.library} was set up`);
    return binding;
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    throw new Unable(`TensorFlow in ${found.dir} does not load (${line}); run: dpmesh setup tensorflow`);
  } finally {
    stderr?.restore();
  }
}

/** TensorFlow's status RESOURCE_EXHAUSTED as our own error; anything else as it is. */
export function explained(error: unknown, device: string): unknown {
  const message = String((error as Error)?.message);
  if (!/TF_Status: 8\b|OOM when allocating|failed to allocate memory/i.test(message)) return error;
  const shape = /shape\s*\[([\d,]+)\]/.exec(message)?.[1];
  const bytes = shape ? 4 * shape.split(',').reduce((product, size) => product * Number(size), 1) : null;
  return new OutOfDeviceMemory(device, bytes);
}
