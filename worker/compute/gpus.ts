import { execFile } from 'node:child_process';
import { UserError } from '../../base/user-error.ts';

/** The GPUs of this host as nvidia-smi lists them, MIG instances too, and which of them `--gpus` names. It starts no workers. */

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
    ? mig.map((own) => ({
        name: `gpu${index}.${own.index}`,
        uuid: own.uuid,
        index,
        // The number of multiprocessors depends on the profile: other kernels, other bits.
        model: `${name} MIG ${own.profile}`,
        instance: own.index,
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
    const numbers = all.map(({ name }) => name.slice(3)).join(', ');
    if (!matches.length)
      throw new UserError(`--gpus ${asked}: this host has no GPU ${item}; it has ${numbers}`);
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

export interface Gpu {
  /** As in nvidia-smi: in PCI order. */
  index: number;
  name: string;
  uuid: string;
  /** MiB; null if the driver does not report it. */
  memory: number | null;
  driver: string;
  /** Its instances, if NVIDIA's MIG divides it, by their index as `nvidia-smi -L` shows it. */
  mig: { index: number; profile: string; uuid: string }[];
}

/** Why no GPU can be listed. */
export interface NoGpus {
  kind: 'absent' | 'broken' | 'none';
  problem: string;
  remedy: string;
}

/** With a broken driver nvidia-smi may hang. */
const TIMEOUT_MS = 10_000;
/** On the PATH, or where it is in WSL2, and on Windows with older drivers. */
const PROGRAMS =
  process.platform === 'win32'
    ? ['nvidia-smi', 'C:\\Program Files\\NVIDIA Corporation\\NVSMI\\nvidia-smi.exe']
    : ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi'];

const query = (fields: string) => [`--query-gpu=${fields}`, '--format=csv,noheader,nounits'];

/** The GPUs of this host, by nvidia-smi. UserError with a remedy if it lists none. */
export async function listGpus(): Promise<Gpu[]> {
  const listing = await findGpus();
  if ('gpus' in listing) return listing.gpus;
  throw new UserError(`${listing.problem}; ${listing.remedy}`);
}

/** The GPUs of this host, by nvidia-smi, or why it lists none. */
export async function findGpus(): Promise<{ gpus: Gpu[] } | NoGpus> {
  const [table, list] = await Promise.all([
    nvidiaSmi(query('index,name,uuid,memory.total,driver_version')),
    nvidiaSmi(['-L']),
  ]);
  const problem = whyNoList(table);
  if (problem) return problem;
  try {
    return { gpus: parseGpus(table.text, list.text) };
  } catch (error) {
    return broken(`dpmesh cannot parse the output of nvidia-smi: ${(error as Error).message}`);
  }
}

/** Memory of a GPU or of one of its MIG instances, bytes; null if nvidia-smi does not report it. */
export async function memoryOf(
  gpu: number,
  instance?: number,
): Promise<{ used: number; limit: number } | null> {
  const isWhole = instance === undefined;
  const { code, text } = await nvidiaSmi(
    isWhole ? ['-i', String(gpu), ...query('memory.used,memory.total')] : [],
  );
  if (code !== 0) return null;
  // That of instances is only in nvidia-smi's table for people: | GPU GI CI Dev | used MiB / total MiB | …
  const row = isWhole
    ? /^(\d+), *([1-9]\d*) *$/m
    : new RegExp(
        `^\\|\\s+${gpu}\\s+\\S+\\s+\\S+\\s+${instance}\\s+\\|\\s+(\\d+)MiB\\s+/\\s+(\\d+)MiB\\s`,
        'm',
      );
  const [, used, limit] = row.exec(text)?.map((mebibytes) => Number(mebibytes) * 2 ** 20) ?? [];
  return used === undefined ? null : { used, limit };
}

/** The outcome of a call of nvidia-smi: its exit code is null if there is no such program or it timed out. */
async function nvidiaSmi(args: string[]) {
  // The locale changes the format of its numbers.
  const options = { timeout: TIMEOUT_MS, env: { ...process.env, LC_ALL: 'C' }, windowsHide: true };
  let output: { code: number | null; missing: boolean; text: string };
  for (const program of PROGRAMS) {
    output = await new Promise((resolve) => {
      execFile(program, args, options, (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : null) : 0;
        const missing = (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
        resolve({ code, missing, text: error ? `${stdout}\n${stderr}` : stdout });
      });
    });
    if (!output.missing) break;
  }
  return output!;
}

const SEE_ERROR = 'run nvidia-smi to see its error; after an update of the driver, restart the machine';
const broken = (problem: string, remedy = SEE_ERROR): NoGpus => ({ kind: 'broken', problem, remedy });

/** Null if nvidia-smi has listed GPUs. */
function whyNoList({ code, missing, text }: Awaited<ReturnType<typeof nvidiaSmi>>): NoGpus | null {
  if (missing)
    return {
      kind: 'absent',
      problem: 'there is no nvidia-smi on this host, so no NVIDIA driver',
      remedy:
        'install the driver (not CUDA), or do without GPUs: train without --gpus, launch with --cpus N; GPUs of other makers work with dpmesh worker --backend webgpu',
    };
  const message = text.replace(/\s+/g, ' ').trim().slice(0, 300);
  if (/couldn't communicate with the NVIDIA driver/i.test(text))
    return broken('the NVIDIA driver does not work (nvidia-smi cannot communicate with it)');
  if (/driver\/library version mismatch/i.test(text))
    return broken(
      `the NVIDIA driver was updated, but the running kernel still uses the old one (nvidia-smi: ${message})`,
      'restart the machine',
    );
  if (/no devices were found/i.test(text))
    return {
      kind: 'none',
      problem: 'the NVIDIA driver is installed, but finds no GPU',
      remedy:
        'give this machine or container a GPU (docker run --gpus all), or do without: train without --gpus, launch with --cpus N',
    };
  if (code === null) return broken(`nvidia-smi did not answer within ${TIMEOUT_MS / 1000} s`);
  return code === 0 ? null : broken(`nvidia-smi failed with exit code ${code}: ${message}`);
}

/**
 * GPUs from `--query-gpu=index,name,uuid,memory.total,driver_version --format=csv,noheader,nounits`, their
 * MIG instances from `-L`.
 */
export function parseGpus(csv: string, list: string): Gpu[] {
  const instances = parseMig(list);
  return csv
    .split('\n')
    .filter((line) => line.trim())
    .map((line) => {
      const [index, name, uuid, memory, driver, ...more] = line.split(',').map((cell) => cell.trim());
      if (!/^\d+$/.test(index) || !/^GPU-/.test(uuid ?? '') || driver === undefined || more.length)
        throw new Error(line.trim().slice(0, 200));
      return {
        index: Number(index),
        name,
        uuid,
        memory: /^\d+$/.test(memory) ? Number(memory) : null,
        driver,
        mig: instances.get(Number(index)) ?? [],
      };
    });
}

/** MIG instances by the index of their GPU. */
function parseMig(list: string): Map<number, Gpu['mig']> {
  const out = new Map<number, Gpu['mig']>();
  let instances: Gpu['mig'] = [];
  for (const line of list.split('\n')) {
    const gpu = /^GPU (\d+):/.exec(line);
    if (gpu) out.set(Number(gpu[1]), (instances = []));
    const instance = /^\s+MIG (\S+)\s+Device\s+(\d+):\s+\(UUID:\s*(MIG-[^)\s]+)\)/.exec(line);
    if (!instance) continue;
    const [, profile, index, uuid] = instance;
    instances.push({ profile, index: Number(index), uuid });
  }
  return out;
}
