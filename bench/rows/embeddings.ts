// Rows of many columns: real embeddings and images, and made ones with known clusters (bench/python/embeddings.py).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DataFiles, formatScore, median, NotAvailable, repeat, scratch, train } from '../dpmesh.ts';
import { ROOT } from '../processes.ts';
import { python } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';

interface Embedding {
  /** As in bench/python/embeddings.py, which makes it, unless `files` says where it is. */
  name: string;
  what: string;
  /** The least and the largest number of clusters that is right. */
  k: [number, number];
  /** The least scores, of the median. */
  least?: { nmi?: number; ari?: number; acc?: number };
  files?: () => DataFiles;
  onRequest?: true;
}

const SEEDS = 3;
const DATA_SEED = 0;
const SCORES = ['nmi', 'ari', 'acc'] as const;

const embeddings: Embedding[] = [
  { name: 'digits', what: 'scikit-learn’s digits, 1,797 × 64', k: [10, 13], least: { ari: 0.8 } },
  { name: 'gaussians-64', what: 'ten Gaussians in 64-D', k: [10, 10], least: { nmi: 0.99 } },
  { name: 'gaussians-128', what: 'ten Gaussians in 128-D', k: [10, 10], least: { nmi: 0.99 } },
  { name: 'hundred', what: 'a hundred Gaussians in 40-D, 50,000 rows', k: [98, 102], least: { nmi: 0.98 } },
  { name: 'one-64', what: 'one Gaussian in 64-D', k: [1, 1] },
  { name: 'one-384', what: 'one Gaussian in 384-D', k: [1, 1] },
  { name: 'decaying-1', what: 'one Gaussian in 100-D, variances 1, 1/2, 1/3 …', k: [1, 1] },
  { name: 'heavy-tails', what: 'one multivariate t(3) in 50-D', k: [1, 1] },
  { name: 'decaying-5', what: 'five Gaussians with such variances', k: [5, 5], least: { nmi: 0.98 } },
  { name: 'uneven', what: '90, 7 and 3 % of the rows in 128-D', k: [3, 3], least: { ari: 0.99 } },
  { name: 'thin-1', what: 'one cluster of three dimensions in 384-D', k: [1, 1] },
  { name: 'thin-5', what: 'five such clusters', k: [4, 6], least: { nmi: 0.9 } },
  { name: 'units', what: 'six clusters in 40 columns of unlike units', k: [5, 7], least: { nmi: 0.9 } },
  {
    name: 'reuters',
    what: 'Reuters, 8,882 articles by multilingual-e5-small, 384-D, 20 uneven topics',
    k: [8, 30],
    least: { nmi: 0.56, ari: 0.41 },
    files: shared('reuters_e5.npy', 'reuters_labels.npy'),
  },
  {
    name: 'mnist',
    what: 'raw MNIST, 70,000 × 784 pixels',
    k: [10, 12],
    least: { acc: 0.86 },
    onRequest: true,
  },
  {
    name: 'fashion',
    what: 'raw Fashion-MNIST, 70,000 × 784',
    k: [8, 16],
    least: { nmi: 0.6 },
    onRequest: true,
  },
];

function shared(data: string, labels: string): () => DataFiles {
  return () => {
    const [rows, classes] = [data, labels].map((name) => join(ROOT, '../shared/data', name));
    if (!existsSync(rows)) throw new NotAvailable(`${rows} does not exist`);
    return { data: rows, labels: classes };
  };
}

function embeddingRow({ name, what, k, least = {}, files, onRequest }: Embedding): BenchmarkRow {
  const [fewest, most] = k;
  const bars = SCORES.flatMap((score) => {
    const bar = least[score];
    return bar === undefined ? [] : [{ score, bar, text: `${score.toUpperCase()} ≥ ${formatScore(bar)}` }];
  });
  return {
    name: `embeddings-${name}`,
    what: `${what}`,
    target: [
      `K ${fewest === most ? fewest : `${fewest}–${most}`}`,
      ...bars.map(({ text }) => `${text} (median)`),
    ].join(', '),
    onRequest,
    async measure() {
      const data =
        files?.() ?? (await python<DataFiles>('embeddings.py', [name, scratch, String(DATA_SEED)], 1));
      const given = most === 1 ? { data: data.data } : data;
      const runs = await repeat(SEEDS, (seed) => train(given, ['--workers', 2, '--seed', seed]));
      const medianOf = (score: (typeof SCORES)[number]) => median(runs.map((run) => run[score]!));
      const scores =
        most === 1
          ? ''
          : `; median ${SCORES.map((score) => `${score.toUpperCase()} ${formatScore(medianOf(score))}`).join(', ')}`;
      return {
        measured: `K ${runs.map((run) => run.k).join(', ')}${scores}; ${median(runs.map(({ wall }) => wall)).toFixed(1)} s`,
        met:
          runs.every((run) => fewest <= run.k && run.k <= most) &&
          bars.every(({ score, bar }) => medianOf(score) >= bar),
      };
    },
  };
}

interface Found {
  k: number;
  nmi: number;
  ari: number;
  acc: number;
  seconds: number;
}

/** The largest share of the time of UMAP and HDBSCAN that a run may take, whole process. */
const MOST_TIME = 0.5;
const PEERS: Record<string, string> = {
  kmeans: 'KMeans told K',
  bgm: 'BGM(20)',
  'umap-hdbscan': 'UMAP + HDBSCAN',
  evoc: 'EVoC',
  leiden: 'Leiden',
};

/** The same rows by other methods, one seed each; theirs without the start of Python, and once warm. */
function peersRow(name: string, what: string, told: number, files?: () => DataFiles): BenchmarkRow {
  return {
    name: `embeddings-peers-${name}`,
    what: `${what}: K, NMI/ARI/ACC, seconds, beside others`,
    target: `at most ${MOST_TIME} of the time of UMAP + HDBSCAN`,
    onRequest: true,
    async measure() {
      const data = files?.() ?? (await python<DataFiles>('embeddings.py', [name, scratch, DATA_SEED], 1));
      const own = await train(data, ['--workers', 2, '--seed', 0]);
      const peers = await python<Record<string, Found>>(
        'embedding_peers.py',
        [data.data, data.labels, told, 0],
        2,
      );
      const text = (found: Found) =>
        `K ${found.k} ${SCORES.map((score) => formatScore(found[score])).join('/')} ${found.seconds.toFixed(1)} s`;
      const ours = { k: own.k, nmi: own.nmi!, ari: own.ari!, acc: own.acc!, seconds: own.wall };
      const share = own.wall / peers['umap-hdbscan'].seconds;
      const others = Object.entries(peers).map(([peer, found]) => `${PEERS[peer]} ${text(found)}`);
      return {
        measured: `${text(ours)}; ${others.join('; ')}; ${share.toFixed(2)} of the time of UMAP + HDBSCAN`,
        met: share <= MOST_TIME,
      };
    },
  };
}

export const embeddingRows: BenchmarkRow[] = [
  ...embeddings.map(embeddingRow),
  peersRow('digits', 'scikit-learn’s digits, 1,797 × 64', 10),
  peersRow('reuters', 'Reuters, 8,882 × 384', 20, shared('reuters_e5.npy', 'reuters_labels.npy')),
];
