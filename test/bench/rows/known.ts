// "Right on real data": rows whose clusters are known, each with what makes it hard, and the clusters that must be found.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readNpy, writeNpy } from '../../../data/npy.ts';
import { posteriorMode, randomMixture } from '../../../data/synth.ts';
import { ari, contingency } from '../../../model/scores.ts';
import {
  type DataFiles,
  dpmesh,
  embedding,
  formatScore,
  median,
  repeat,
  scratch,
  shared,
  synth,
  type TrainResult,
  tempPath,
  train,
} from '../dpmesh.ts';
import type { CliArgs } from '../processes.ts';
import { python } from '../python.ts';
import type { BenchmarkRow, RowResult } from '../report.ts';

type Score = 'nmi' | 'ari' | 'acc';
type Scores = Partial<Record<Score, number>>;

interface Known {
  name: string;
  what: string;
  files(): DataFiles | Promise<DataFiles>;
  /** The least and the largest number of clusters that is right, or the only one. */
  k: number | [number, number];
  /** The least scores, of each run or of the median. */
  least?: Scores;
  by?: 'each' | 'median';
  /** Runs, of which each has another seed. */
  seeds?: number;
  flags?: CliArgs;
  /** Of a run. */
  minutes?: number;
  onRequest?: true;
  /** A further target. */
  also?: { target: string; measure(data: DataFiles, runs: TrainResult[]): RowResult | Promise<RowResult> };
}

const NAMES: Score[] = ['nmi', 'ari', 'acc'];
const SEEDS = 3;
const DATA_SEED = 0;
const rangeText = ([least, most]: [number, number]) => (least === most ? `${least}` : `${least}–${most}`);
/** Different values, or the one that all are. */
const listOf = (values: number[]) => (new Set(values).size > 1 ? values.join(', ') : `${values[0]}`);
const list = (values: (number | null)[]) => values.map(formatScore).join(', ');

function knownRow(known: Known): BenchmarkRow {
  const {
    name,
    what,
    files,
    least = {},
    by = 'each',
    seeds = 1,
    flags = [],
    minutes,
    onRequest,
    also,
  } = known;
  const k: [number, number] = typeof known.k === 'number' ? [known.k, known.k] : known.k;
  const bars = NAMES.flatMap((score) => (least[score] === undefined ? [] : [{ score, bar: least[score] }]));
  const texts = bars.map(({ score, bar }) => `${score.toUpperCase()} ≥ ${formatScore(bar)} (${by})`);
  return {
    name,
    what,
    target: [`K ${rangeText(k)}`, ...texts, ...(also ? [also.target] : [])].join('; '),
    onRequest,
    async measure() {
      const data = await files();
      // A single cluster has no score.
      const given = k[1] === 1 ? { data: data.data } : data;
      const runs = await repeat(seeds, (seed) =>
        train(given, ['--workers', 2, '--seed', seed, ...flags], { minutes }),
      );
      const of = (score: Score) => {
        const values = runs.map((run) => run[score]!);
        return by === 'each' ? Math.min(...values) : median(values);
      };
      const shown: Score[] = by === 'each' && seeds > 1 ? bars.map(({ score }) => score) : NAMES;
      const scores = shown.map((score) => formatScore(of(score))).join('/');
      const isScored = k[1] > 1 && shown.length > 0;
      const more = await also?.measure(data, runs);
      const walls = runs.map(({ wall }) => wall);
      const measured = [
        `K ${listOf(runs.map((run) => run.k))}`,
        ...(isScored ? [`${shown.join('/').toUpperCase()} ${scores}`] : []),
        ...(more ? [more.measured] : []),
        `${median(walls).toFixed(1)} s`,
      ];
      const isRight = runs.every((run) => k[0] <= run.k && run.k <= k[1]);
      const met = isRight && bars.every(({ score, bar }) => of(score) >= bar) && more?.met !== false;
      return { measured: measured.join('; '), met };
    },
  };
}

/** scikit-learn's results on the same rows, to show how hard a table is; no target. */
const peers: Known['also'] = {
  target: 'scikit-learn’s beside it',
  async measure({ data, labels }) {
    type Peer = { k: number; ari: number };
    const { bgm, hdbscan } = await python<{ bgm: Peer; hdbscan: Peer }>('peers.py', [data, labels], 1);
    const text = (peer: Peer) => `K ${peer.k}, ARI ${formatScore(peer.ari)}`;
    return { measured: `BayesianGaussianMixture ${text(bgm)}, HDBSCAN ${text(hdbscan)}`, met: null };
  },
};

/** Compares outliers.npy of each run, one flag for each row, with the rows of the last class. */
const outliersFlagged: Known['also'] = {
  target: 'where outliers.npy is written: ≥ 9 of the 10 outliers in it, ≤ 1 ‰ of the others',
  measure({ labels }, runs) {
    const classes = readNpy(labels).data;
    const last = Math.max(...classes);
    const counts = runs.flatMap(({ out }) => {
      const path = join(out, 'outliers.npy');
      if (!existsSync(path)) return [];
      const counts = { found: 0, wrong: 0 };
      const flags = readNpy(path).data;
      if (flags.length !== classes.length)
        throw new Error(`${path} has ${flags.length} flags for ${classes.length} rows`);
      flags.forEach((flag, i) => {
        if (flag) counts[classes[i] === last ? 'found' : 'wrong']++;
      });
      return [counts];
    });
    const text = counts.map(({ found, wrong }) => `${found} and ${wrong}`);
    return {
      measured: `outliers, others flagged: ${text.join(', ') || 'no file'}`,
      met: counts.every(({ found, wrong }) => found >= 9 && wrong <= classes.length / 1000),
    };
  },
};

/** Rows that tables.py makes, or embeddings.py. */
const made = (script: 'tables' | 'embeddings', name: string) => () =>
  python<DataFiles>(`${script}.py`, [name, scratch, DATA_SEED], 1);

type Row = [name: string, what: string, k: Known['k'], least?: Scores, more?: Partial<Known>];
/** ARI is that of each run. */
const table = ([name, what, k, least, more]: Row) =>
  knownRow({ name: `tables-${name}`, what, k, least, seeds: SEEDS, files: made('tables', name), ...more });
/** Scores are medians. */
const wide = ([name, what, k, least, more]: Row) =>
  knownRow({
    ...{ name: `embeddings-${name}`, what, k, least, by: 'median', seeds: SEEDS },
    files: made('embeddings', name),
    ...more,
  });

const blobs = (clusters: number, off: number): Row => {
  const rows = Math.max(6000, 100 * clusters).toLocaleString('en');
  const what = `${clusters} round blobs in 2-D, 10 sd apart, ${rows} rows`;
  return [`blobs-${clusters}`, what, [clusters - off, clusters + off], { ari: 0.99 }];
};

// ARI of real tables: about the better of the two peers. Their classes are no Gaussians, and some of them overlap.
const tables: Row[] = [
  ['stripes', 'two stripes 20 sd apart beside an axis of sd 60', 2, { ari: 0.99 }],
  ['wide-axes', 'four clusters 8 sd apart beside three axes of sd 20', 4, { ari: 0.99 }],
  ['customers', 'CSV: two rates (sd .05, .06) of two levels each, age, basket: 4 segments', 4, { ari: 0.98 }],
  ...[3, 30, 900].map((width): Row => {
    const what = `three clusters 7 sd apart beside a column ${width} × as wide`;
    return [`wide-column-${width}`, what, 3, { ari: 0.99 }];
  }),
  ['minority', '5 % of the rows 9 sd away, beside two axes of sd 15', 2, { ari: 0.98 }],
  ['uniform-axis', '30 % and 70 %, 8 sd apart, beside an axis −40 … 40', 2, { ari: 0.98 }],
  // The ten may be a cluster, or belong to one.
  [
    'outliers',
    'five Gaussians in 2-D and ten rows at a distance of 10,000',
    [5, 6],
    { ari: 0.98 },
    { also: outliersFlagged },
  ],
  [
    'unlike-sizes',
    'one cluster of 5,400 rows and four of 300, 150, 100 and 50, 12 sd away',
    5,
    { ari: 0.98 },
  ],
  ['uniform-2', 'uniform in 2-D, 20,000 rows', 1],
  ['uniform-10', 'uniform in 10-D, 20,000 rows', 1],
  ['gaussian-2', 'Gaussian in 2-D, 20,000 rows', 1],
  ['gaussian-10', 'Gaussian in 10-D, 20,000 rows', 1],
  ['student-5', 'Student t with 3 degrees of freedom in 5-D, 20,000 rows', 1],
  blobs(30, 0),
  blobs(100, 1),
  blobs(300, 3),
  ['iris', 'iris, 150 × 4', [3, 4], { ari: 0.8 }, { also: peers }],
  ['wine', 'wine, 178 × 13', [3, 5], { ari: 0.7 }, { also: peers }],
  // A single cluster with heavy tails has more evidence than its classes.
  ['breast-cancer', 'breast cancer, 569 × 30', [1, 7], {}, { also: peers }],
];

const reuters = () => shared('reuters_e5.npy', 'reuters_labels.npy');

/** Rows of many columns: real embeddings and images, and made ones with known clusters. */
const embeddings: Row[] = [
  ['digits', 'scikit-learn’s digits, 1,797 × 64', [10, 13], { ari: 0.8 }],
  ['gaussians-64', 'ten Gaussians in 64-D', 10, { nmi: 0.99 }],
  ['gaussians-128', 'ten Gaussians in 128-D', 10, { nmi: 0.99 }],
  ['hundred', 'a hundred Gaussians in 40-D, 50,000 rows', [98, 102], { nmi: 0.98 }],
  ['one-64', 'one Gaussian in 64-D', 1],
  ['one-384', 'one Gaussian in 384-D', 1],
  ['decaying-1', 'one Gaussian in 100-D, variances 1, 1/2, 1/3 …', 1],
  ['heavy-tails', 'one multivariate t(3) in 50-D', 1],
  ['decaying-5', 'five Gaussians with such variances', 5, { nmi: 0.98 }],
  ['uneven', '90, 7 and 3 % of the rows in 128-D', 3, { ari: 0.99 }],
  ['thin-1', 'one cluster of three dimensions in 384-D', 1],
  ['thin-5', 'five such clusters', [4, 6], { nmi: 0.9 }],
  ['units', 'six clusters in 40 columns of unlike units', [5, 7], { nmi: 0.9 }],
  [
    'reuters',
    'Reuters, 8,882 articles by multilingual-e5-small, 384-D, 20 uneven topics',
    [8, 30],
    { nmi: 0.56, ari: 0.41 },
    { files: reuters },
  ],
  ['mnist', 'raw MNIST, 70,000 × 784 pixels', [10, 12], { acc: 0.86 }, { onRequest: true }],
  ['fashion', 'raw Fashion-MNIST, 70,000 × 784', [8, 16], { nmi: 0.6 }, { onRequest: true }],
];

/** Gaussians of `dpmesh synth`: `off`, the largest deviation from their number. */
function gaussians(
  name: string,
  clusters: number,
  points: number,
  dim: number,
  off: number,
  nmi: number,
): Known {
  return {
    name,
    what: `${points.toLocaleString('en')} × ${dim}, ${clusters} Gaussians`,
    files: () => synth(clusters, points, dim, 1, 15),
    k: [clusters - off, clusters + off],
    least: { nmi },
    minutes: 15,
    onRequest: true,
  };
}

const SYNTHETIC = { clusters: 15, points: 10_000, dim: 2 };
const DATA_SEEDS = 5;

/** ARI of the most probable cluster of each row under the true parameters. */
function trueMixturesAri({ data, labels }: DataFiles, seed: number): number {
  const { clusters, dim } = SYNTHETIC;
  const mode = posteriorMode(randomMixture(clusters, dim, BigInt(seed)));
  const rows = readNpy(data).data as Float32Array;
  const classes = readNpy(labels).data;
  const modes = Int32Array.from(classes, (own, i) => mode(rows.subarray(i * dim, (i + 1) * dim), own));
  return ari(contingency(modes, classes));
}

/** Runs on several synthetic data sets, beside the ARI of the true mixture on each. */
function syntheticRow(): BenchmarkRow {
  const { clusters, points, dim } = SYNTHETIC;
  return {
    name: 'tables-synthetic',
    what: `15 Gaussians in 2-D, 10,000 points, ${DATA_SEEDS} data seeds`,
    target: 'K 15, ARI within .01 of the true mixture’s (each)',
    async measure() {
      const sets = await repeat(DATA_SEEDS, async (seed) => {
        const files = await synth(clusters, points, dim, seed);
        const best = trueMixturesAri(files, seed);
        const runs = await repeat(SEEDS, (own) => train(files, ['--workers', 2, '--seed', own]));
        return { runs, below: Math.max(...runs.map((run) => best - run.ari!)) };
      });
      const ks = sets.flatMap(({ runs }) => runs.map((run) => run.k));
      return {
        measured: `K ${listOf(ks)}; ARI below the true mixture’s by at most ${list(sets.map(({ below }) => below))}`,
        met: sets.every(({ runs, below }) => runs.every((run) => run.k === clusters) && below <= 0.01),
      };
    },
  };
}

/** The rows and labels of MNIST, sorted by class, in new files. */
function sortedByClass(): DataFiles {
  const { data, labels } = embedding('mnist');
  const rows = readNpy(data);
  const classes = readNpy(labels).data;
  const [n, dim] = rows.shape;
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => classes[a] - classes[b]);
  const moved = Float32Array.from(
    { length: n * dim },
    (_, p) => rows.data[order[Math.floor(p / dim)] * dim + (p % dim)],
  );
  const out = { data: tempPath('mnist-sorted.npy'), labels: tempPath('mnist-sorted-labels.npy') };
  writeNpy(out.data, '<f4', [n, dim], moved);
  writeNpy(
    out.labels,
    '|u1',
    [n],
    Uint8Array.from(order, (from) => classes[from]),
  );
  return out;
}

type Embedding = Parameters<typeof embedding>[0];
const medianAcc = (least: number): Known['also'] => ({
  target: `median ACC ≥ ${formatScore(least)}`,
  measure(_, runs) {
    const acc = median(runs.map((run) => run.acc!));
    return { measured: `median ${formatScore(acc)}`, met: acc >= least };
  },
});

const quality = (of: Embedding, k: Known['k'], acc: number, more: Partial<Known> = {}): Known => ({
  ...{ name: `quality-${of}`, what: `${of.toUpperCase()} embedding`, k, least: { acc } },
  files: () => embedding(of),
  ...more,
});

/** Scores of one run of 300 epochs of the reference code (of Fashion-MNIST: the paper), less what its runs differ by. */
const paper = (of: Embedding, nmi: number, ari: number, acc: number, published: string): Known => ({
  name: `paper-${of}`,
  what: `${of.toUpperCase()} embedding, \`--schedule paper\`; the paper has ${published}`,
  files: () => embedding(of),
  k: [1, 20],
  least: { nmi: nmi - 0.02, ari: ari - 0.02, acc: acc - 0.02 },
  flags: ['--schedule', 'paper'],
  minutes: 60,
  onRequest: true,
});

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
function peersRow(name: string, what: string, told: number, files: Known['files']): BenchmarkRow {
  return {
    name: `embeddings-peers-${name}`,
    what: `${what}: K, NMI/ARI/ACC, seconds`,
    target: `at most ${MOST_TIME}`,
    onRequest: true,
    async measure() {
      type Found = { k: number; seconds: number } & Record<Score, number | null>;
      const { data, labels } = await files();
      const own = await train({ data, labels }, ['--workers', 2, '--seed', 0]);
      const found = await python<Record<string, Found>>('embedding_peers.py', [data, labels, told, 0], 2);
      const text = (of: Found) =>
        `K ${of.k} ${NAMES.map((score) => formatScore(of[score])).join('/')} ${of.seconds.toFixed(1)} s`;
      const others = Object.entries(found).map(([peer, of]) => `${PEERS[peer]} ${text(of)}`);
      const share = own.wall / found['umap-hdbscan'].seconds;
      return {
        measured: `${text({ ...own, seconds: own.wall })}; ${others.join('; ')}; ${share.toFixed(2)} of UMAP + HDBSCAN’s time`,
        met: share <= MOST_TIME,
      };
    },
  };
}

/** By how much the trustworthiness of a map of all rows may be below that of UMAP's layout of some of them, which most were not in the sample. */
const MAP_SHORTFALL = 0.03;

function mapRow(name: string, what: string, files: Known['files']): BenchmarkRow {
  return {
    name: `map-${name}`,
    what: `${what}: trustworthiness (k 15) of up to 5,000 rows’ map`,
    target: `at most ${MAP_SHORTFALL} less`,
    async measure() {
      const { data } = await files();
      const run = tempPath('run');
      await dpmesh([
        'train',
        '--data',
        data,
        '--out',
        run,
        '--workers',
        2,
        '--no-http',
        '--no-report',
        '--json',
      ]);
      const { own, umap } = await python<Record<'own' | 'umap', number>>('map_trust.py', [data, run], 2);
      return {
        measured: `${own.toFixed(3)}, umap-learn ${umap.toFixed(3)}`,
        met: own >= umap - MAP_SHORTFALL,
      };
    },
  };
}

/** Rows, clusters, columns, the share of rows of which the true posterior is wrong, and the power by which sizes fall. */
type Overlap = [rows: number, k: number, columns: number, errors: number, power: number];
const overlaps: Overlap[] = [
  [20_000, 10, 5, 0.05, 1],
  [50_000, 20, 10, 0.05, 1],
  [20_000, 30, 20, 0.05, 0.7],
  [10_000, 40, 8, 0.1, 0.5],
  [300, 5, 10, 0.02, 0],
  [5_000, 5, 5, 0.05, 0],
  [2_000, 8, 5, 0.05, 1],
  [5_000, 15, 15, 0.03, 0.7],
];

function overlapRow([rows, k, columns, errors, power]: Overlap, i: number): BenchmarkRow {
  const sizes = power ? `, sizes ∝ k^−${power}` : '';
  return {
    name: `overlap-${rows}-${columns}`,
    what: `${errors * 100} % of errors${sizes}`,
    target: 'median K within max(1, 10 %), median ARI within .03 of the truth',
    columns: 'data | truth | dpmesh, seeds 0–2 | BayesianGaussianMixture(1.5 K) | GaussianMixture by BIC',
    onRequest: true,
    async measure() {
      type Peer = { k: number; ari: number; seconds: number };
      const { data, labels, best, bgm, gmm } = await python<
        DataFiles & { best: number } & Record<'bgm' | 'gmm', Peer>
      >('overlap.py', [scratch, 100 + i, rows, k, columns, errors, power], 1);
      const runs = await repeat(SEEDS, (seed) => train({ data, labels }, ['--workers', 2, '--seed', seed]));
      const [ks, scores] = [runs.map((run) => run.k), runs.map((run) => run.ari!)];
      const text = (peer: Peer) => `${peer.k}; ${formatScore(peer.ari)}; ${peer.seconds.toFixed(1)} s`;
      const walls = median(runs.map(({ wall }) => wall));
      return {
        measured: [
          `${k}; ${formatScore(best)}`,
          `${listOf(ks)}; ${list(scores)}; ${walls.toFixed(1)} s`,
          text(bgm),
          text(gmm),
        ].join(' | '),
        met: Math.abs(median(ks) - k) <= Math.max(1, 0.1 * k) && median(scores) >= best - 0.03,
      };
    },
  };
}

export const knownRows: BenchmarkRow[] = [
  knownRow(quality('usps', [10, 11], 0.955)),
  knownRow(quality('mnist', [10, 11], 0.965, { seeds: 5, also: medianAcc(0.975) })),
  knownRow(
    quality('mnist', [1, 20], 0.965, {
      name: 'mnist-sorted',
      what: 'MNIST, sorted by class',
      files: sortedByClass,
    }),
  ),
  knownRow(quality('fashion', [1, 14], 0.615)),
  ...tables.map(table),
  ...overlaps.map(overlapRow),
  syntheticRow(),
  knownRow(gaussians('tables-many-200-32', 200, 200_000, 32, 2, 0.995)),
  knownRow(gaussians('tables-many-500-32', 500, 200_000, 32, 5, 0.995)),
  knownRow(gaussians('tables-many-500-10', 500, 100_000, 10, 5, 0.995)),
  knownRow(gaussians('embeddings-500', 500, 200_000, 64, 10, 0.98)),
  ...embeddings.map(wide),
  peersRow('digits', 'scikit-learn’s digits, 1,797 × 64', 10, made('embeddings', 'digits')),
  peersRow('reuters', 'Reuters, 8,882 × 384', 20, reuters),
  mapRow('digits', 'scikit-learn’s digits, 1,797 × 64', made('embeddings', 'digits')),
  mapRow('reuters', 'Reuters, 8,882 × 384', reuters),
  mapRow('mnist', 'MNIST', () => embedding('mnist')),
  knownRow(paper('usps', 0.797, 0.661, 0.66, 'K 9, NMI .88, ARI .86, ACC .89')),
  knownRow(paper('mnist', 0.934, 0.925, 0.968, 'K 10, NMI .94, ARI .95, ACC .98')),
  knownRow(paper('fashion', 0.68, 0.51, 0.62, 'K 10, NMI .68, ARI .51, ACC .62')),
];
