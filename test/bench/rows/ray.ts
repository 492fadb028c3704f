// Training on a Ray cluster, beside the command.
import { mkdirSync } from 'node:fs';
import { embedding, tempPath } from '../dpmesh.ts';
import { ROOT } from '../processes.ts';
import { type Environment, python } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';

const RAY: Environment = { venv: '.venv-ray', requirements: 'requirements-ray.txt', packages: 'Ray' };
const WORKERS = 2;
const MOST_SECONDS = 3;

const ray: BenchmarkRow = {
  name: 'ray',
  what: `MNIST, ${WORKERS} workers: \`dpmesh.ray.train\` on three raylets that are up, beside \`dpmesh train\``,
  target: `≤ ${MOST_SECONDS} s more, the same labels`,
  onRequest: true,
  async measure() {
    const folder = tempPath('ray');
    mkdirSync(folder);
    const args = [ROOT, embedding('mnist').data, folder, WORKERS];
    const found = await python<{ ray: number; command: number; same: boolean }>('ray_train.py', args, 1, RAY);
    const labels = found.same ? 'the same labels' : 'OTHER LABELS';
    return {
      measured: `${found.ray.toFixed(1)} s, ${found.command.toFixed(1)} s by the command, ${labels}`,
      met: found.same && found.ray - found.command <= MOST_SECONDS,
    };
  },
};

export const rayRows: BenchmarkRow[] = [ray];
