import { execFile } from 'node:child_process';
import { UserError } from '../data/user-error.ts';

/** A slice of a GPU that NVIDIA's MIG has cut. */
export interface MigInstance {
  /** Place on its GPU, as `nvidia-smi -L` counts. */
  index: number;
  profile: string;
  uuid: string;
}

export interface Gpu {
  /** As nvidia-smi counts: in PCI order. */
  index: number;
  name: string;
  uuid: string;
  /** MiB; null where the driver does not say. */
  memory: { total: number | null; used: number | null };
  driver: string;
  mig: MigInstance[];
}

/** What one worker is pinned to. */
export interface Device {
  /** `gpu0`, or `gpu0.1` for a MIG instance. */
  name: string;
  uuid: string;
  /** Of its GPU. */
  index: number;
}

/** Why no GPU can be listed. */
export interface NoGpus {
  kind: 'absent' | 'broken' | 'none';
  problem: string;
  remedy: string;
}

const FIELDS = ['index', 'name', 'uuid', 'memory.total', 'memory.used', 'driver_version'];
/** A driver in trouble can hold nvidia-smi up for a long time, ms. */
const ANSWER_MS = 10_000;
/** Where it is when it is not on the PATH: in WSL2, and in Windows with older drivers. */
const PLACES =
  process.platform === 'win32'
    ? ['nvidia-smi', 'C:\\Program Files\\NVIDIA Corporation\\NVSMI\\nvidia-smi.exe']
    : ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi'];

/** The GPUs of this host, through nvidia-smi. UserError, with what to do, where there is none to list. */
export async function listGpus(): Promise<Gpu[]> {
  const found = await findGpus();
  if ('gpus' in found) return found.gpus;
  throw new UserError(`${found.problem}; ${found.remedy}`);
}

/** The same, with the reason as a value. */
export async function findGpus(): Promise<{ gpus: Gpu[] } | NoGpus> {
  const [table, list] = await Promise.all([
    nvidiaSmi([`--query-gpu=${FIELDS.join(',')}`, '--format=csv,noheader,nounits']),
    nvidiaSmi(['-L']),
  ]);
  const trouble = whyNoList(table);
  if (trouble) return trouble;
  try {
    const gpus = parseGpus(table.text);
    const slices = parseMig(list.text);
    return { gpus: gpus.map((gpu) => ({ ...gpu, mig: slices.get(gpu.index) ?? [] })) };
  } catch (error) {
    return broken(`nvidia-smi says what dpmesh does not understand: ${(error as Error).message}`);
  }
}

/** How a call of nvidia-smi went. */
export interface Answer {
  /** null: there is no such program, or it did not end in time. */
  code: number | null;
  missing: boolean;
  text: string;
}

async function nvidiaSmi(args: string[]): Promise<Answer> {
  let answer: Answer = { code: null, missing: true, text: '' };
  for (const place of PLACES) {
    answer = await new Promise<Answer>((resolve) => {
      // Its messages are English whatever the locale; numbers are not.
      const options = { timeout: ANSWER_MS, env: { ...process.env, LC_ALL: 'C' }, windowsHide: true };
      execFile(place, args, options, (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : null) : 0;
        resolve({ code, missing: isMissing(error), text: code === 0 ? stdout : `${stdout}\n${stderr}` });
      });
    });
    if (!answer.missing) break;
  }
  return answer;
}

const isMissing = (error: Error | null) => (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';

const broken = (problem: string): NoGpus => ({
  kind: 'broken',
  problem,
  remedy: 'see what nvidia-smi says by itself; after an update of the driver, restart the machine',
});

/** Null if nvidia-smi has listed GPUs. */
function whyNoList({ code, missing, text }: Answer): NoGpus | null {
  if (missing)
    return {
      kind: 'absent',
      problem: 'there is no nvidia-smi on this host, so no NVIDIA driver',
      remedy:
        'install the driver (not CUDA), or leave the GPUs out: train without --gpus, launch with --cpus N; other makes of GPU: dpmesh worker --backend webgpu',
    };
  const said = text.replace(/\s+/g, ' ').trim().slice(0, 300);
  if (/couldn't communicate with the NVIDIA driver/i.test(text))
    return broken(`the NVIDIA driver does not work (nvidia-smi cannot communicate with it)`);
  if (/driver\/library version mismatch/i.test(text))
    return {
      ...broken(`the NVIDIA driver was updated under the running kernel (nvidia-smi: ${said})`),
      remedy: 'restart the machine',
    };
  if (/no devices were found/i.test(text))
    return {
      kind: 'none',
      problem: 'the NVIDIA driver is there, but it finds no GPU',
      remedy:
        'is one given to this machine or container (docker run --gpus all)? Or leave the GPUs out: train without --gpus, launch with --cpus N',
    };
  if (code === null) return broken(`nvidia-smi did not answer within ${ANSWER_MS / 1000} s`);
  if (code !== 0) return broken(`nvidia-smi failed with ${code}: ${said}`);
  return null;
}

/** Lines of `--query-gpu=index,name,uuid,memory.total,memory.used,driver_version --format=csv,noheader,nounits`. */
export function parseGpus(csv: string): Gpu[] {
  return csv
    .split('\n')
    .filter((line) => line.trim())
    .map((line) => {
      const [index, name, uuid, total, used, driver, ...more] = line.split(',').map((cell) => cell.trim());
      if (!/^\d+$/.test(index) || !/^GPU-/.test(uuid ?? '') || driver === undefined || more.length)
        throw new Error(line.trim().slice(0, 200));
      return {
        index: Number(index),
        name,
        uuid,
        memory: { total: mebibytes(total), used: mebibytes(used) },
        driver,
        mig: [],
      };
    });
}

/** `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]` … are no numbers. */
const mebibytes = (cell: string) => (/^\d+$/.test(cell) ? Number(cell) : null);

/** MIG instances by the index of their GPU, from `nvidia-smi -L`. */
export function parseMig(list: string): Map<number, MigInstance[]> {
  const out = new Map<number, MigInstance[]>();
  let slices: MigInstance[] = [];
  for (const line of list.split('\n')) {
    const gpu = /^GPU (\d+):/.exec(line);
    if (gpu) {
      slices = [];
      out.set(Number(gpu[1]), slices);
    }
    const slice = /^\s+MIG (\S+)\s+Device\s+(\d+):\s+\(UUID:\s*(MIG-[^)\s]+)\)/.exec(line);
    if (slice) slices.push({ profile: slice[1], index: Number(slice[2]), uuid: slice[3] });
  }
  return out;
}

/** What can be pinned: GPUs, or their MIG instances where they are cut (a cut GPU as a whole computes nothing). */
export const devicesOf = (gpu: Gpu): Device[] =>
  gpu.mig.length
    ? gpu.mig.map(({ index, uuid }) => ({ name: `gpu${gpu.index}.${index}`, uuid, index: gpu.index }))
    : [{ name: `gpu${gpu.index}`, uuid: gpu.uuid, index: gpu.index }];

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
