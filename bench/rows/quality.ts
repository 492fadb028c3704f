import { readNpy, writeNpy } from '../../data/npy.ts';
import {
  type Data,
  embedding,
  fresh,
  median,
  repeat,
  type Synthetic,
  score,
  synth,
  type Trained,
  train,
} from '../dpmesh.ts';
import type { Row } from './row.ts';

const scores = ({ k, nmi, ari, acc }: Trained) =>
  `K ${k}, NMI ${score(nmi)}, ARI ${score(ari)}, ACC ${score(acc)}`;

function quality(name: 'usps' | 'mnist' | 'fashion', acc: number, [least, most]: [number, number]): Row {
  return {
    name: `quality-${name}`,
    what: `${name.toUpperCase()} embedding, defaults`,
    asked: `ACC ≥ ${score(acc)}, K ${least}–${most}`,
    async measure() {
      const run = await train(embedding(name));
      return { measured: scores(run), met: run.acc! >= acc && least <= run.k && run.k <= most };
    },
  };
}

const mnistSeeds: Row = {
  name: 'quality-mnist',
  what: 'MNIST embedding, seeds 0–4',
  asked: 'ACC ≥ .965, K 10–11 (each seed), median ≥ .975',
  async measure() {
    const runs = await repeat(5, (seed) => train(embedding('mnist'), ['--seed', seed]));
    const accs = runs.map((run) => run.acc!);
    return {
      measured: `ACC min ${score(Math.min(...accs))}, median ${score(median(accs))}; K ${runs.map((run) => run.k).join(', ')}`,
      met: runs.every(({ acc, k }) => acc! >= 0.965 && (k === 10 || k === 11)) && median(accs) >= 0.975,
    };
  },
};

const sorted: Row = {
  name: 'mnist-sorted',
  what: 'MNIST embedding, rows sorted by class',
  asked: 'ACC ≥ .965',
  async measure() {
    const run = await train(sortedByClass(embedding('mnist')));
    return { measured: scores(run), met: run.acc! >= 0.965 };
  },
};

/** The same rows and labels in the order of their class, as new files. */
function sortedByClass({ data, labels }: Data): Data {
  const rows = readNpy(data);
  const classes = readNpy(labels).data;
  const [n, dim] = rows.shape;
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => classes[a] - classes[b]);
  const moved = new Float32Array(n * dim);
  order.forEach((from, to) => {
    moved.set(rows.data.subarray(from * dim, (from + 1) * dim), to * dim);
  });
  const out = { data: fresh('mnist-sorted.npy'), labels: fresh('mnist-sorted-labels.npy') };
  writeNpy(out.data, '<f4', [n, dim], moved);
  const codes = Uint8Array.from(order, (from) => classes[from]);
  writeNpy(out.labels, '|u1', [n], codes);
  return out;
}

const synthetic: Row = {
  name: 'synthetic',
  what: '15 Gaussians in 2-D, 10,000 points, data seeds 0–4',
  asked: 'K 15, NMI within .01 of the best possible (each)',
  async measure() {
    const runs = await repeat(5, async (seed) => {
      const data: Synthetic = await synth(15, 10_000, 2, seed);
      return { ...(await train(data)), bestNmi: data.bestNmi };
    });
    const gaps = runs.map((run) => run.bestNmi - run.nmi!);
    return {
      measured: `K ${runs.map((run) => run.k).join(', ')}; NMI ${runs.map((run) => score(run.nmi)).join(', ')}, below the best possible by ${gaps.map(score).join(', ')}`,
      met: runs.every(({ k }, i) => k === 15 && gaps[i] <= 0.01),
    };
  },
};

export const qualityRows: Row[] = [
  quality('usps', 0.955, [10, 11]),
  mnistSeeds,
  sorted,
  quality('fashion', 0.615, [1, 14]),
  synthetic,
];
