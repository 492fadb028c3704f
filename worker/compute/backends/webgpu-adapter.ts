import { pathToFileURL } from 'node:url';
import { UserError } from '../../../base/user-error.ts';
import { findWebgpu } from '../installed.ts';

/** What is used of the npm package `webgpu` (Dawn). */
interface Dawn {
  create(flags: string[]): { requestAdapter(): Promise<Adapter | null> };
  globals: Record<string, unknown>;
}

interface Adapter {
  info: { vendor: string; architecture: string; device: string; description: string };
  limits: Record<string, number>;
  requestDevice(wanted: {
    requiredLimits: Record<string, number>;
    requiredFeatures: string[];
  }): Promise<GpuDevice>;
}

export interface GpuDevice {
  lost: Promise<{ reason: string; message: string }>;
  addEventListener(type: 'uncapturederror', listener: (event: { error: Error }) => void): void;
}

export interface AdapterName {
  name: string;
  api: string;
  /** Computed by the processor: no GPU. */
  software: boolean;
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render/i;

/** Dawn aborts the process when an instance is garbage that still has threads: none ever is. */
const instances: unknown[] = [];
function instance({ create }: Dawn, flags: string[]): ReturnType<Dawn['create']> {
  const made = create(flags);
  instances.push(made);
  return made;
}

/** Dawn as it was set up, and TensorFlow.js for it; a UserError if they were not. */
export async function loadDawn() {
  const found = findWebgpu();
  if (!found) throw new UserError('WebGPU is not set up here; run: dpmesh setup webgpu');
  if ('problem' in found) throw new UserError(found.problem);
  try {
    const dawn: Dawn = await import(pathToFileURL(found.require.resolve('webgpu')).href);
    const tf: typeof import('@tensorflow/tfjs-core') = found.require('@tensorflow/tfjs-core');
    return { dawn, tf, webgpu: found.require('@tensorflow/tfjs-backend-webgpu') };
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    throw new UserError(`webgpu in ${found.dir} does not load (${line}); run: dpmesh setup webgpu`);
  }
}

/** The adapters of this machine, in the order that `--gpu` counts. */
export async function listAdapters(dawn: Dawn): Promise<AdapterName[]> {
  try {
    // There is no call that lists them, but who asks for one that does not exist is told which do.
    await instance(dawn, ['adapter=none of these']).requestAdapter();
    return [];
  } catch (error) {
    const lines = String((error as Error).message ?? error).matchAll(/backend: '([^']*)', name: '(.*)'/g);
    return [...lines].map(([, api, name]) => ({ name, api, software: SOFTWARE.test(name) }));
  }
}

/** Adapter `gpu`; a UserError naming those that there are. */
export async function adapterOf(
  dawn: Dawn,
  gpu: number,
): Promise<{ adapter: Adapter; named: AdapterName; gpu: unknown }> {
  const all = await listAdapters(dawn);
  if (!all.length)
    throw new UserError(
      '--backend webgpu: no Vulkan, Metal or Direct3D 12 adapter here; is a graphics driver installed?',
    );
  const named = all[gpu];
  const list = all.map(({ name }, i) => `${i}: ${name}`).join(', ');
  if (!named) throw new UserError(`--gpu ${gpu}: there is no such adapter; there is ${list}`);
  const own = instance(dawn, [`backend=${named.api}`, `adapter=${named.name}`]);
  const adapter = await own.requestAdapter();
  if (!adapter) throw new UserError(`--gpu ${gpu}: ${named.name} cannot be used; there is ${list}`);
  instances.push(adapter);
  return { adapter, named, gpu: own };
}
