import { execFileSync } from 'node:child_process';
import { findTensorflow } from '../../../worker/compute/installed.ts';
import { dpmesh, embedding, formatScore, median, NotAvailable, note, repeat, train } from '../dpmesh.ts';
import { makeVenv, python } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';

const s = (value: number) => `${value.toFixed(2)} s`;

/** The best of three of our whole process against the fit alone of scikit-learn, at its better thread count. */
async function againstBgm(name: 'usps' | 'mnist', flags: string[] = []) {
  const data = embedding(name);
  const fits: { seconds: number; k: number }[] = [];
  for (const threads of [1, 2]) {
    fits.push(await python<{ seconds: number; k: number }>('bgm.py', [data.data], threads));
    note(`BayesianGaussianMixture(20), threads ${threads}: ${s(fits.at(-1)!.seconds)}`);
  }
  const runs = await repeat(3, () => train(data, ['--workers', 2, ...flags]));
  const ours = Math.min(...runs.map((run) => run.wall));
  const bgm = Math.min(...fits.map((fit) => fit.seconds));
  const acc = Math.min(...runs.map((run) => run.acc!));
  const [one, two] = fits.map((fit) => s(fit.seconds));
  return {
    ratio: ours / bgm,
    acc,
    text: `${(ours / bgm).toFixed(2)}: ${s(ours)} (ACC ${formatScore(acc)}) against ${one} on 1 thread, ${two} on 2`,
  };
}

const vsBgm: BenchmarkRow = {
  name: 'vs-bgm',
  what: 'MNIST: time as a fraction of BayesianGaussianMixture(20)’s',
  target: '≤ .5, ACC ≥ .965',
  async measure() {
    const { text, ratio, acc } = await againstBgm('mnist');
    return { measured: text, met: ratio <= 0.5 && acc >= 0.965 };
  },
};

const tensorflow: BenchmarkRow = {
  name: 'tensorflow',
  what: 'MNIST, `--backend tensorflow` on the CPU: the same',
  target: '≤ .3',
  async measure() {
    const found = findTensorflow();
    if (!found || 'problem' in found)
      throw new NotAvailable('tensorflow is not installed: dpmesh setup tensorflow');
    const { text, ratio } = await againstBgm('mnist', ['--backend', 'tensorflow']);
    return { measured: text, met: ratio <= 0.3 };
  },
};

const scaling: BenchmarkRow = {
  name: 'scaling',
  what: 'MNIST: `seconds` of 1 worker divided by those of 2, best of 3 each, alternating',
  target: '≥ 1.7',
  async measure() {
    // Alternating, so that a machine whose speed drifts affects both alike.
    const pairs = await repeat(3, async () => [
      await train(embedding('mnist'), ['--workers', 1]),
      await train(embedding('mnist'), ['--workers', 2]),
    ]);
    const [one, two] = [0, 1].map((i) => Math.min(...pairs.map((pair) => pair[i].seconds)));
    return {
      measured: `${(one / two).toFixed(2)}: ${s(one)}, ${s(two)}; ${await machineScaling()}`,
      met: one / two >= 1.7,
    };
  },
};

/** How much two processes slow each other down here: two vCPUs may be threads of one core. */
async function machineScaling(): Promise<string> {
  try {
    await makeVenv();
  } catch {
    return 'the scaling of the machine itself was not measured (no Python)';
  }
  const rates = (processes: number) => {
    const start = Date.now() / 1000 + 1;
    return Promise.all(Array.from({ length: processes }, () => python<number>('matmul.py', [start, 3], 1)));
  };
  const [alone] = await rates(1);
  const pair = await rates(2);
  const slowdown = alone / ((pair[0] + pair[1]) / 2);
  return `2 processes of numpy float32 products do ${(2 / slowdown).toFixed(2)} × the work of 1`;
}

const helpTime: BenchmarkRow = {
  name: 'help-time',
  what: '`dpmesh --help`, best of 5',
  target: '≤ 0.3 s',
  async measure() {
    const walls = await repeat(5, async () => (await dpmesh(['--help'])).wall);
    const bare = await repeat(5, async () => {
      const begun = performance.now();
      execFileSync(process.execPath, ['-e', '0']);
      return (performance.now() - begun) / 1000;
    });
    return {
      measured: `${s(Math.min(...walls))} (median ${s(median(walls))}; Node alone ${s(Math.min(...bare))})`,
      met: Math.min(...walls) <= 0.3,
    };
  },
};

export const speedRows: BenchmarkRow[] = [vsBgm, tensorflow, scaling, helpTime];
