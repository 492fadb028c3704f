import { join } from 'node:path';
import { embedding, note, train } from '../dpmesh.ts';
import { eventsOf, sha256, workerPids } from '../run-files.ts';
import type { BenchmarkRow } from './row.ts';

/** A worker is killed at the end of each of these epochs. */
const KILL_AFTER = [10, 40];

function sameBits(name: 'usps' | 'mnist'): BenchmarkRow {
  return {
    name: `same-bits-${name}`,
    what: `sha256 of ${name.toUpperCase()}'s labels.npy: 1, 2, 3 workers, no shared files, two workers killed`,
    target: 'all equal',
    async measure() {
      const { data } = embedding(name);
      const kills = killer();
      const hashes: string[] = [];
      for (const flags of [['1'], ['2'], ['3'], ['2', '--no-shared-files']])
        hashes.push(labelsOf(await train({ data }, ['--workers', ...flags])));
      hashes.push(labelsOf(await train({ data }, ['--workers', 2], { watch: kills.watch })));
      const killed = kills.count();
      const same = hashes.every((hash) => hash === hashes[0]);
      const shown = hashes.map((hash) => hash.slice(0, 8));
      return {
        measured: `${same ? `all ${shown[0]}` : shown.join(', ')} (${killed} killed)`,
        met: same && killed === KILL_AFTER.length,
      };
    },
  };
}

const labelsOf = ({ out }: { out: string }) => sha256(join(out, 'labels.npy'));

/** Sends SIGKILL to a worker after each of the epochs, to a different one each time. */
function killer() {
  const killed = new Set<number>();
  return {
    count: () => killed.size,
    watch(_: number, dir: string): void {
      const due = KILL_AFTER[killed.size];
      if (!eventsOf(dir).some((event) => event.type === 'epoch' && event.epoch >= due)) return;
      const pid = workerPids(dir).find((pid) => !killed.has(pid));
      if (pid === undefined) return;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        return; // It has already ended.
      }
      killed.add(pid);
      note(`killed worker ${pid} after epoch ${due}`);
    },
  };
}

export const sameBitsRows: BenchmarkRow[] = [sameBits('usps'), sameBits('mnist')];
