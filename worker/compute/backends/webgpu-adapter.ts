import { pathToFileURL } from 'node:url';
import { UserError } from '../../../base/user-error.ts';
import { findWebgpu } from '../installed.ts';

/** The part of the npm package `webgpu` (Dawn) that is used here. */
interface Dawn {
  create(flags: string[]): { requestAdapter(): Promise<Adapter | null> };
  globals: Record<string, unknown>;
}

interface Adapter {
  info: { vendor: string; architecture: string; device: string; description: string };
  limits: Record<string, number>;
  requestDevice(wanted: { requiredLimits: Record<string, number> }): Promise<GpuDevice>;
}

export interface GpuDevice {
  lost: Promise<{ reason: string; message: string }>;
  addEventListener(type: 'uncapturederror', listener: (event: { error: Error }) => void): void;
}

export interface AdapterInfo {
  name: string;
  api: string;
  /** It runs on the CPU. */
  software: boolean;
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render/i;

/** Keeps instances from garbage collection: Dawn aborts the process if it collects one that still has threads. */
const instances: unknown[] = [];
function createInstance({ create }: Dawn, flags: string[]): ReturnType<Dawn['create']> {
  const instance = create(flags);
  instances.push(instance);
  return instance;
}

/** Loads Dawn and TensorFlow.js' WebGPU backend. UserError if they are not set up or do not load. */
export async function loadDawn() {
  const installed = findWebgpu();
  if (!installed) throw new UserError('WebGPU is not set up here; run: dpmesh setup webgpu');
  if ('problem' in installed) throw new UserError(installed.problem);
  try {
    const dawn: Dawn = await import(pathToFileURL(installed.require.resolve('webgpu')).href);
    const tf: typeof import('@tensorflow/tfjs-core') = installed.require('@tensorflow/tfjs-core');
    return { dawn, tf, webgpu: installed.require('@tensorflow/tfjs-backend-webgpu') };
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    throw new UserError(`webgpu in ${installed.dir} does not load (${line}); run: dpmesh setup webgpu`);
  }
}

/** The adapters of this machine, in the order that `--gpu` counts. */
export async function listAdapters(dawn: Dawn): Promise<AdapterInfo[]> {
  try {
    // No call lists them, but the error for one that does not exist does.
    await createInstance(dawn, ['adapter=none of these']).requestAdapter();
    return [];
  } catch (error) {
    const lines = String((error as Error).message ?? error).matchAll(/backend: '([^']*)', name: '(.*)'/g);
    return [...lines].map(([, api, name]) => ({ name, api, software: SOFTWARE.test(name) }));
  }
}

/** Adapter number `gpu`. If there is none: a UserError that lists the adapters. */
export async function adapterOf(dawn: Dawn, gpu: number) {
  const all = await listAdapters(dawn);
  if (!all.length)
    throw new UserError(
      '--backend webgpu: this machine has no Vulkan, Metal or Direct3D 12 adapter; is a graphics driver installed?',
    );
  const info = all[gpu];
  const list = all.map(({ name }, i) => `${i}: ${name}`).join(', ');
  if (!info) throw new UserError(`--gpu ${gpu}: there is no such adapter; choose one of ${list}`);
  const instance = createInstance(dawn, [`backend=${info.api}`, `adapter=${info.name}`]);
  const adapter = await instance.requestAdapter();
  if (!adapter) throw new UserError(`--gpu ${gpu}: ${info.name} cannot be used; choose one of ${list}`);
  instances.push(adapter);
  return { adapter, info, instance };
}
