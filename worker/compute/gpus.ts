import { UserError } from '../../base/user-error.ts';
import type { Gpu } from './nvidia-smi.ts';

/** What one worker is pinned to. */
export interface Device {
  /** `gpu0`, or `gpu0.1` for a MIG instance. */
  name: string;
  uuid: string;
  /** Of its GPU. */
  index: number;
  /** What it is called, part of the numeric identity of who computes on it. */
  model: string;
  /** Place on its GPU, of a MIG instance. */
  instance?: number;
}

/** What can be pinned: GPUs, or their MIG instances where they are cut (a cut GPU as a whole computes nothing). */
export const devicesOf = ({ index, name, uuid, mig }: Gpu): Device[] =>
  mig.length
    ? mig.map((own) => ({
        ...{ name: `gpu${index}.${own.index}`, uuid: own.uuid, index },
        // An instance has its own number of processors: other kernels, other bits.
        ...{ model: `${name} MIG ${own.profile}`, instance: own.index },
      }))
    : [{ name: `gpu${index}`, uuid, index, model: name }];

/** What CUDA shows to a process first; null where that cannot be told. */
export function firstVisible(gpus: Gpu[], visible = process.env.CUDA_VISIBLE_DEVICES): Device | null {
  const all = gpus.flatMap(devicesOf);
  const [first] = visible === undefined ? all : within(all, visible);
  return first ?? (all.length === 1 ? all[0] : null);
}

/**
 * The devices that `--gpus` names: `all`, `none`, or a list such as `0,2`; `1.0` is a MIG instance, `1` all of a GPU's.
 * `all` keeps within `visible` ($CUDA_VISIBLE_DEVICES), as a batch system sets it. UserError for one that this host
 * does not have, or that is named twice.
 */
export function chooseDevices(asked: string, gpus: Gpu[], visible?: string): Device[] {
  const all = gpus.flatMap(devicesOf);
  if (asked === 'none') return [];
  if (asked === 'all') return visible === undefined ? all : within(all, visible);
  const chosen: Device[] = [];
  for (const item of listOf(asked)) {
    const found = all.filter(({ name, index }) => name === `gpu${item}` || String(index) === item);
    if (!found.length)
      throw new UserError(
        `--gpus ${asked}: this host has no GPU ${item}; it has ${all.map(({ name }) => name.slice(3)).join(', ')}`,
      );
    const twice = found.find((device) => chosen.includes(device));
    if (twice)
      throw new UserError(
        `--gpus ${asked}: GPU ${twice.name.slice(3)} is asked for twice; for several workers on one GPU: --per-gpu N`,
      );
    chosen.push(...found);
  }
  return chosen;
}

/** Is this `all`, `none` or a list of GPUs? UserError if not; asks nobody. */
export function checkGpuList(asked: string): void {
  if (asked !== 'all' && asked !== 'none') listOf(asked);
}

function listOf(asked: string): string[] {
  const items = asked.split(',').map((item) => item.trim());
  if (!items.every((item) => /^\d{1,4}(\.\d{1,3})?$/.test(item)))
    throw new UserError(
      `--gpus ${asked} must be all, none, or numbers as nvidia-smi counts, with commas between: 0,2`,
    );
  return items.map((item) => item.split('.').map(Number).join('.'));
}

/** CUDA reads its list up to the first entry that it does not know. */
function within(all: Device[], visible: string): Device[] {
  const out: Device[] = [];
  for (const item of visible.split(',').map((entry) => entry.trim())) {
    const found = all.filter(
      ({ uuid, index }) =>
        item !== '' && (String(index) === item || (item.length > 4 && uuid.startsWith(item))),
    );
    if (!found.length) break;
    out.push(...found.filter((device) => !out.includes(device)));
  }
  return out;
}
