import { UserError } from '../../base/user-error.ts';
import type { Gpu } from './nvidia-smi.ts';

/** A GPU, or an instance of one that NVIDIA's MIG divides: what one worker is pinned to. */
export interface CudaDevice {
  /** `gpu0`, or `gpu0.1` for a MIG instance. */
  name: string;
  uuid: string;
  /** Index of the GPU. */
  index: number;
  /** Model name, part of the numeric identity of workers on it. */
  model: string;
  /** Index of the MIG instance on its GPU. */
  instance?: number;
}

/** The devices of a GPU: the GPU itself, or its MIG instances (CUDA cannot use a divided GPU as one device). */
export const devicesOf = ({ index, name, uuid, mig }: Gpu): CudaDevice[] =>
  mig.length
    ? mig.map((instance) => ({
        ...{ name: `gpu${index}.${instance.index}`, uuid: instance.uuid, index },
        // The number of multiprocessors depends on the profile: other kernels, other bits.
        ...{ model: `${name} MIG ${instance.profile}`, instance: instance.index },
      }))
    : [{ name: `gpu${index}`, uuid, index, model: name }];

/** The first device that CUDA makes visible to this process; null if unknown. */
export function firstVisible(gpus: Gpu[], visible = process.env.CUDA_VISIBLE_DEVICES): CudaDevice | null {
  const all = gpus.flatMap(devicesOf);
  const [first] = visible === undefined ? all : within(all, visible);
  return first ?? (all.length === 1 ? all[0] : null);
}

/**
 * The devices that `--gpus` names: `all`, `none`, or a list such as `0,2`; `1.0` is a MIG instance, `1` stands for all
 * instances of GPU 1. `all` is limited to `visible` ($CUDA_VISIBLE_DEVICES), which a batch system may set. UserError for a
 * device that this host does not have, or that is named twice.
 */
export function chooseDevices(asked: string, gpus: Gpu[], visible?: string): CudaDevice[] {
  const all = gpus.flatMap(devicesOf);
  if (asked === 'none') return [];
  if (asked === 'all') return visible === undefined ? all : within(all, visible);
  const chosen: CudaDevice[] = [];
  for (const item of listOf(asked)) {
    const matches = all.filter(({ name, index }) => name === `gpu${item}` || String(index) === item);
    if (!matches.length)
      throw new UserError(
        `--gpus ${asked}: this host has no GPU ${item}; it has ${all.map(({ name }) => name.slice(3)).join(', ')}`,
      );
    const duplicate = matches.find((device) => chosen.includes(device));
    if (duplicate)
      throw new UserError(
        `--gpus ${asked} names GPU ${duplicate.name.slice(3)} twice; to start several workers on each GPU, use --per-gpu N`,
      );
    chosen.push(...matches);
  }
  return chosen;
}

/** UserError unless this is `all`, `none` or a list of numbers. Does not look at the GPUs. */
export function checkGpuList(asked: string): void {
  if (asked !== 'all' && asked !== 'none') listOf(asked);
}

function listOf(asked: string): string[] {
  const items = asked.split(',').map((item) => item.trim());
  if (!items.every((item) => /^\d{1,4}(\.\d{1,3})?$/.test(item)))
    throw new UserError(
      `--gpus ${asked}: must be all, none, or a comma-separated list of GPU numbers as nvidia-smi shows them, such as 0,2`,
    );
  return items.map((item) => item.split('.').map(Number).join('.'));
}

/** The devices in a CUDA_VISIBLE_DEVICES. Like CUDA, stops at the first entry that matches none. */
function within(all: CudaDevice[], visible: string): CudaDevice[] {
  const out: CudaDevice[] = [];
  for (const item of visible.split(',').map((entry) => entry.trim())) {
    const matches = all.filter(
      ({ uuid, index }) =>
        item !== '' && (String(index) === item || (item.length > 4 && uuid.startsWith(item))),
    );
    if (!matches.length) break;
    out.push(...matches.filter((device) => !out.includes(device)));
  }
  return out;
}
