import { execFile } from 'node:child_process';
import { UserError } from '../../base/user-error.ts';

/** A slice of a GPU that NVIDIA's MIG has cut. */
export interface MigInstance {
  /** Place on its GPU, as `nvidia-smi -L` counts. */
  index: number;
  profile: string;
  uuid: string;
  /** MiB, as its profile is called: a little more than it has. */
  memory: number | null;
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

/** Why no GPU can be listed. */
export interface NoGpus {
  kind: 'absent' | 'broken' | 'none';
  problem: string;
  remedy: string;
}

const FIELDS = ['index', 'name', 'uuid', 'memory.total', 'memory.used', 'driver_version'];
const MEMORY = 'memory.used,memory.total';
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
    return { gpus: parseGpus(table.text, list.text) };
  } catch (error) {
    return broken(`nvidia-smi says what dpmesh does not understand: ${(error as Error).message}`);
  }
}

/** Memory of a GPU, or of one of its MIG instances, in bytes; null where nvidia-smi does not tell. */
export async function memoryOf(
  gpu: number,
  instance?: number,
): Promise<{ used: number; limit: number } | null> {
  const found =
    instance === undefined
      ? parseMemory(
          await nvidiaSmi(['-i', String(gpu), `--query-gpu=${MEMORY}`, '--format=csv,noheader,nounits']),
        )
      : parseInstance(await nvidiaSmi([]), gpu, instance);
  return found && { used: found[0] * 2 ** 20, limit: found[1] * 2 ** 20 };
}

function parseMemory({ code, text }: Answer): [number, number] | null {
  const [used, total] = text
    .split('\n')[0]
    .split(',')
    .map((cell) => mebibytes(cell.trim()));
  return code === 0 && used !== null && total ? [used, total] : null;
}

/** Only its table for people has the memory of instances: | GPU GI CI Dev | used MiB / total MiB | … */
function parseInstance({ code, text }: Answer, gpu: number, instance: number): [number, number] | null {
  if (code !== 0) return null;
  const row = /^\|\s+(\d+)\s+\S+\s+\S+\s+(\d+)\s+\|\s+(\d+)MiB\s+\/\s+(\d+)MiB\s/gm;
  for (const [, index, place, used, total] of text.matchAll(row))
    if (Number(index) === gpu && Number(place) === instance) return [Number(used), Number(total)];
  return null;
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

/**
 * GPUs from `--query-gpu=index,name,uuid,memory.total,memory.used,driver_version --format=csv,noheader,nounits`, their
 * MIG instances from `-L`.
 */
export function parseGpus(csv: string, list: string): Gpu[] {
  const slices = parseMig(list);
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
        mig: slices.get(Number(index)) ?? [],
      };
    });
}

/** `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]` … are no numbers. */
const mebibytes = (cell: string) => (/^\d+$/.test(cell) ? Number(cell) : null);

/** MIG instances by the index of their GPU. */
function parseMig(list: string): Map<number, MigInstance[]> {
  const out = new Map<number, MigInstance[]>();
  let slices: MigInstance[] = [];
  for (const line of list.split('\n')) {
    const gpu = /^GPU (\d+):/.exec(line);
    if (gpu) {
      slices = [];
      out.set(Number(gpu[1]), slices);
    }
    const slice = /^\s+MIG (\S+)\s+Device\s+(\d+):\s+\(UUID:\s*(MIG-[^)\s]+)\)/.exec(line);
    if (!slice) continue;
    const [, profile, place, uuid] = slice;
    const gigabytes = /\.(\d+)gb/.exec(profile)?.[1];
    slices.push({
      ...{ profile, index: Number(place), uuid },
      memory: gigabytes ? 1024 * Number(gigabytes) : null,
    });
  }
  return out;
}
