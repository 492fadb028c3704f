import { readNpy, writeNpy } from '../../data/npy.ts';
import {
  type DataFiles,
  embedding,
  formatScore,
  median,
  repeat,
  type SyntheticFiles,
  synth,
  type TrainResult,
  tempPath,
  train,
} from '../dpmesh.ts';
import type { BenchmarkRow } from '../report.ts';

const scores = ({ k, nmi, ari, acc }: TrainResult) =>
  `K ${k}, NMI ${formatScore(nmi)}, ARI ${formatScore(ari)}, ACC ${formatScore(acc)}`;

function quality(
  name: 'usps' | 'mnist' | 'fashion',
  acc: number,
  [least, most]: [number, number],
): BenchmarkRow {
  return {
    name: `quality-${name}`,
    what: `${name.toUpperCase()} embedding, defaults`,
    target: `ACC ≥ ${formatScore(acc)}, K ${least}–${most}`,
    async measure() {
      const run = await train(embedding(name));
      return { measured: scores(run), met: run.acc! >= acc && least <= run.k && run.k <= most };
    },
  };
}

const mnistSeeds: BenchmarkRow = {
  name: 'quality-mnist',
  what: 'MNIST embedding, seeds 0–4',
  target: 'ACC ≥ .965, K 10–11 (each seed), median ≥ .975',
  async measure() {
    const runs = await repeat(5, (seed) => train(embedding('mnist'), ['--seed', seed]));
    const accs = runs.map((run) => run.acc!);
    return {
      measured: `ACC min ${formatScore(Math.min(...accs))}, median ${formatScore(median(accs))}; K ${runs.map((run) => run.k).join(', ')}`,
      met: runs.every(({ acc, k }) => acc! >= 0.965 && (k === 10 || k === 11)) && median(accs) >= 0.975,
    };
  },
};

const sorted: BenchmarkRow = {
  name: 'mnist-sorted',
  what: 'MNIST embedding, rows sorted by class',
  target: 'ACC ≥ .965',
  async measure() {
    const run = await train(sortedByClass(embedding('mnist')));
    return { measured: scores(run), met: run.acc! >= 0.965 };
  },
};

/** Writes the rows and labels sorted by class to new files. */
function sortedByClass({ data, labels }: DataFiles): DataFiles {
  const rows = readNpy(data);
  const classes = readNpy(labels).data;
  const [n, dim] = rows.shape;
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => classes[a] - classes[b]);
  const moved = new Float32Array(n * dim);
  order.forEach((from, to) => {
    moved.set(rows.data.subarray(from * dim, (from + 1) * dim), to * dim);
  });
  const out = { data: tempPath('mnist-sorted.npy'), labels: tempPath('mnist-sorted-labels.npy') };
  writeNpy(out.data, '<f4', [n, dim], moved);
  const codes = Uint8Array.from(order, (from) => classes[from]);
  writeNpy(out.labels, '|u1', [n], codes);
  return out;
}

const synthetic: BenchmarkRow = {
  name: 'synthetic',
  what: '15 Gaussians in 2-D, 10,000 points, data seeds 0–4',
  target: 'K 15, NMI within .01 of the best possible (each)',
  async measure() {
    const runs = await repeat(5, async (seed) => {
      const data: SyntheticFiles = await synth(15, 10_000, 2, seed);
      return { ...(await train(data)), bestNmi: data.bestNmi };
    });
    const gaps = runs.map((run) => run.bestNmi - run.nmi!);
    return {
      measured: `K ${runs.map((run) => run.k).join(', ')}; NMI ${runs.map((run) => formatScore(run.nmi)).join(', ')}, below the best possible by ${gaps.map(formatScore).join(', ')}`,
      met: runs.every(({ k }, i) => k === 15 && gaps[i] <= 0.01),
    };
  },
};

export const qualityRows: BenchmarkRow[] = [
  quality('usps', 0.955, [10, 11]),
  mnistSeeds,
  sorted,
  quality('fashion', 0.615, [1, 14]),
  synthetic,
];

/** USPS and MNIST: one run of 300 epochs of the reference code. Fashion-MNIST: the paper. */
const PAPER_TARGETS = {
  usps: { k: 6, nmi: 0.797, ari: 0.661, acc: 0.66 },
  mnist: { k: 11, nmi: 0.934, ari: 0.925, acc: 0.968 },
  fashion: { k: 10, nmi: 0.68, ari: 0.51, acc: 0.62 },
};
/** The paper: the mean of ten runs, with the prior tuned for each data set. */
const PAPER = {
  usps: { k: 9, nmi: 0.88, ari: 0.86, acc: 0.89 },
  mnist: { k: 10, nmi: 0.94, ari: 0.95, acc: 0.98 },
  fashion: { k: 10, nmi: 0.68, ari: 0.51, acc: 0.62 },
};
/** Runs of the reference code differ from each other by more than this. */
const TOLERANCE = 0.02;

type DatasetName = keyof typeof PAPER_TARGETS;
type ClusteringScores = { k: number } & Record<'nmi' | 'ari' | 'acc', number | null>;

const text = ({ k, nmi, ari, acc }: ClusteringScores) =>
  `K ${k}, NMI ${formatScore(nmi)}, ARI ${formatScore(ari)}, ACC ${formatScore(acc)}`;

/** The schedule of the paper, with the default number of shards, against published scores. */
function paper(name: DatasetName): BenchmarkRow {
  const target = PAPER_TARGETS[name];
  return {
    name: `paper-${name}`,
    what: `${name.toUpperCase()} embedding, \`--schedule paper\``,
    target: `no worse than ${text(target)} less ${formatScore(TOLERANCE)}; the paper: ${text(PAPER[name])}`,
    onRequest: true,
    async measure() {
      const run = await train(embedding(name), ['--schedule', 'paper'], { minutes: 60 });
      return {
        measured: `${text(run)}; ${run.epochs} epochs, ${run.seconds.toFixed(0)} s`,
        met: (['nmi', 'ari', 'acc'] as const).every((of) => run[of]! >= target[of] - TOLERANCE),
      };
    },
  };
}

export const paperRows: BenchmarkRow[] = [paper('usps'), paper('mnist'), paper('fashion')];
