import { execFile, execFileSync } from 'node:child_process';
import type { Device } from './backend.ts';

/** How old the answer of nvidia-smi may be, ms: it takes its time. */
const FRESH_MS = 5000;

/** The card that CUDA shows to this process first. Its name is part of the numeric identity. */
export function cudaDevice(): Device {
  const card = visibleCard(list(), process.env.CUDA_VISIBLE_DEVICES);
  const gpu = card ? ['-i', card.uuid] : [];
  let known: { used: number; limit: number } | null = null;
  let asked = Number.NEGATIVE_INFINITY;
  return {
    name: card?.name ?? 'CUDA',
    memory() {
      if (performance.now() - asked > FRESH_MS) {
        asked = performance.now();
        const query = ['--query-gpu=memory.used,memory.total', '--format=csv,noheader,nounits', ...gpu];
        execFile('nvidia-smi', query, (error, text) => {
          const [used, limit] = error ? [] : text.split('\n')[0].split(',').map(Number);
          known =
            Number.isFinite(used) && Number.isFinite(limit)
              ? { used: used * 2 ** 20, limit: limit * 2 ** 20 }
              : null;
        });
      }
      return known;
    },
  };
}

/** What `nvidia-smi -L` says; empty where it does not work. */
function list(): string {
  try {
    return execFileSync('nvidia-smi', ['-L'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    });
  } catch {
    return '';
  }
}

/** The card that `visible` (CUDA_VISIBLE_DEVICES: an index, a UUID, one of a MIG instance, or their list) names first. */
export function visibleCard(listed: string, visible?: string): { name: string; uuid: string } | null {
  const cards: { name: string; uuid: string; instances: { name: string; uuid: string }[] }[] = [];
  for (const line of listed.split('\n')) {
    const gpu = /^GPU \d+: (.+) \(UUID: (GPU-[^)]+)\)/.exec(line);
    const instance = /^\s+(MIG \S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)/.exec(line);
    if (gpu) cards.push({ name: gpu[1], uuid: gpu[2], instances: [] });
    else if (instance) cards.at(-1)?.instances.push({ name: instance[1], uuid: instance[2] });
  }
  const [wanted] = (visible ?? '0').split(',');
  for (const [index, { name, uuid, instances }] of cards.entries()) {
    const part = wanted.startsWith('MIG-') && instances.find((own) => own.uuid.startsWith(wanted));
    // An instance has its own number of processors: other kernels, other bits.
    if (part) return { name: `${name} ${part.name}`, uuid };
    if (wanted === String(index) || (wanted.startsWith('GPU-') && uuid.startsWith(wanted)))
      return { name, uuid };
  }
  return cards[0] ?? null;
}
