// "Right on real data": tables with known clusters, each with what makes it hard, and the clusters that must be found.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readNpy } from '../../data/npy.ts';
import { posteriorMode, randomMixture } from '../../data/synth.ts';
import { ari, contingency } from '../../model/scores.ts';
import { type DataFiles, formatScore, repeat, scratch, synth, type TrainResult, train } from '../dpmesh.ts';
import { python } from '../python.ts';
import type { BenchmarkRow, RowResult } from '../report.ts';

interface Table {
  /** As in bench/python/tables.py, which makes it. */
  name: string;
  what: string;
  /** The least and the largest number of clusters that is right. */
  k: [number, number];
  /** The least adjusted Rand index; null where there is but one cluster. */
  ari: number | null;
  onRequest?: true;
  /** A further target. */
  also?: { target: string; measure(data: DataFiles, runs: TrainResult[]): RowResult | Promise<RowResult> };
}

const SEEDS = 3;
/** The seed of tables.py. */
const DATA_SEED = 0;

/** scikit-learn's results on the same rows, to show how hard a table is; no target. */
const peers: Table['also'] = {
  target: 'scikit-learn’s beside it, as they come: BayesianGaussianMixture(20), HDBSCAN()',
  async measure({ data, labels }) {
    type Peer = { k: number; ari: number };
    const { bgm, hdbscan } = await python<{ bgm: Peer; hdbscan: Peer }>('peers.py', [data, labels], 1);
    const text = ({ k, ari }: Peer) => `K ${k}, ARI ${formatScore(ari)}`;
    return { measured: `BayesianGaussianMixture ${text(bgm)}, HDBSCAN ${text(hdbscan)}`, met: null };
  },
};

/** Compares outliers.npy of each run, one flag for each row, with the rows of the last class. */
const outliersFlagged: Table['also'] = {
  target: 'where outliers.npy is written: ≥ 9 of the 10 outliers in it, ≤ 1 ‰ of the others',
  measure({ labels }, runs) {
    const classes = readNpy(labels).data;
    const last = Math.max(...classes);
    const counts = runs.map(({ out }) => {
      const path = join(out, 'outliers.npy');
      if (!existsSync(path)) return null;
      const flags = readNpy(path).data;
      if (flags.length !== classes.length)
        throw new Error(`outliers.npy has ${flags.length} numbers for ${classes.length} rows`);
      let [found, wrong] = [0, 0];
      flags.forEach((flag, i) => {
        if (flag && classes[i] === last) found++;
        else if (flag) wrong++;
      });
      return { found, wrong };
    });
    const text = counts.map((count) => (count ? `${count.found} and ${count.wrong}` : 'no file'));
    return {
      measured: `outliers and others flagged: ${text.join(', ')}`,
      met: counts.every((count) => !count || (count.found >= 9 && count.wrong <= classes.length / 1000)),
    };
  },
};

const wideColumn = (width: number): Table => ({
  name: `wide-column-${width}`,
  what: `three clusters 7 sd apart beside a column ${width} × as wide as a cluster`,
  k: [3, 3],
  ari: 0.99,
});

const noStructure = (name: string, what: string): Table => ({
  name,
  what: `no structure: ${what}, 20,000 rows`,
  k: [1, 1],
  ari: null,
});

const blobs = (clusters: number, tolerance: number): Table => ({
  name: `blobs-${clusters}`,
  what: `${clusters} round blobs in 2-D, centres 10 sd apart or more, ${Math.max(6000, 100 * clusters).toLocaleString('en')} rows`,
  k: [clusters - tolerance, clusters + tolerance],
  ari: 0.99,
});

// ARI of real tables: about the better of the two peers. Their classes are no Gaussians, and some of them overlap.
const tables: Table[] = [
  { name: 'stripes', what: 'two stripes 20 sd apart beside an axis of sd 60', k: [2, 2], ari: 0.99 },
  { name: 'wide-axes', what: 'four clusters 8 sd apart beside three axes of sd 20', k: [4, 4], ari: 0.99 },
  {
    name: 'customers',
    what: 'CSV: two rates (sd .05, .06) of two levels each, age, basket: 4 segments',
    k: [4, 4],
    ari: 0.98,
  },
  wideColumn(3),
  wideColumn(30),
  wideColumn(900),
  { name: 'minority', what: '5 % of the rows 9 sd away, beside two axes of sd 15', k: [2, 2], ari: 0.98 },
  { name: 'uniform-axis', what: '30 % and 70 %, 8 sd apart, beside an axis −40 … 40', k: [2, 2], ari: 0.98 },
  {
    name: 'outliers',
    what: 'five Gaussians in 2-D and ten rows at a distance of 10,000',
    // The ten may be a cluster, or belong to one.
    k: [5, 6],
    ari: 0.98,
    also: outliersFlagged,
  },
  {
    name: 'unlike-sizes',
    what: 'one cluster of 5,400 rows and four of 300, 150, 100 and 50, 12 sd away',
    k: [5, 5],
    ari: 0.98,
  },
  noStructure('uniform-2', 'uniform in 2-D'),
  noStructure('uniform-10', 'uniform in 10-D'),
  noStructure('gaussian-2', 'Gaussian in 2-D'),
  noStructure('gaussian-10', 'Gaussian in 10-D'),
  noStructure('student-5', 'Student t with 3 degrees of freedom in 5-D'),
  blobs(30, 0),
  blobs(100, 1),
  blobs(300, 3),
  { name: 'iris', what: 'iris, 150 × 4, as it comes', k: [2, 3], ari: 0.56, also: peers },
  { name: 'wine', what: 'wine, 178 × 13, as it comes', k: [2, 4], ari: 0.29, also: peers },
  {
    name: 'breast-cancer',
    what: 'breast cancer, 569 × 30, as it comes',
    k: [2, 4],
    ari: 0.6,
    also: peers,
  },
];

const rangeText = ([least, most]: [number, number]) => (least === most ? `${least}` : `${least}–${most}`);
const isWithin = (value: number, [least, most]: [number, number]) => least <= value && value <= most;
const list = (values: (number | null)[]) => values.map(formatScore).join(', ');

function tableRow({ name, what, k, ari, onRequest, also }: Table): BenchmarkRow {
  return {
    name: `tables-${name}`,
    what,
    target: [
      `K ${rangeText(k)}`,
      ari === null ? '' : `ARI ≥ ${formatScore(ari)}`,
      also ? `(each); ${also.target}` : '(each)',
    ]
      .filter(Boolean)
      .join(' '),
    onRequest,
    async measure() {
      const files = await python<DataFiles>('tables.py', [name, scratch, DATA_SEED], 1);
      const given = ari === null ? { data: files.data } : files;
      const runs = await repeat(SEEDS, (seed) => train(given, ['--workers', 2, '--seed', seed]));
      const more = await also?.measure(files, runs);
      const aris = ari === null ? '' : `; ARI ${list(runs.map((run) => run.ari))}`;
      return {
        measured: `K ${runs.map((run) => run.k).join(', ')}${aris}${more ? `; ${more.measured}` : ''}`,
        met:
          runs.every((run) => isWithin(run.k, k) && (ari === null || run.ari! >= ari)) && more?.met !== false,
      };
    },
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

const synthetic: BenchmarkRow = {
  name: 'tables-synthetic',
  what: '15 Gaussians in 2-D, 10,000 points, data seeds 0–4, seeds 0–2',
  target: 'K 15, ARI within .01 of that of the true mixture’s own assignment',
  async measure() {
    const { clusters, points, dim } = SYNTHETIC;
    const sets = await repeat(DATA_SEEDS, async (seed) => {
      const files = await synth(clusters, points, dim, seed);
      const best = trueMixturesAri(files, seed);
      const runs = await repeat(SEEDS, (own) => train(files, ['--workers', 2, '--seed', own]));
      return { runs, below: Math.max(...runs.map((run) => best - run.ari!)) };
    });
    const ks = sets.map(({ runs }) => runs.map((run) => run.k).join(' '));
    return {
      measured: `K ${ks.join(', ')}; below the true mixture’s by at most ${list(sets.map(({ below }) => below))}`,
      met: sets.every(({ runs, below }) => runs.every((run) => run.k === clusters) && below <= 0.01),
    };
  },
};

interface Many {
  clusters: number;
  dim: number;
  points: number;
  /** The largest deviation from the true number of clusters, as a fraction of it. */
  tolerance: number;
  nmi: number;
  /** Of the run. */
  minutes: number;
}

function manyRow({ clusters, dim, points, tolerance, nmi, minutes }: Many): BenchmarkRow {
  const off = Math.floor(clusters * tolerance);
  const k: [number, number] = [clusters - off, clusters + off];
  return {
    name: `tables-many-${clusters}-${dim}`,
    what: `${points.toLocaleString('en')} × ${dim}, ${clusters.toLocaleString('en')} Gaussians`,
    target: `K ${rangeText(k)}, NMI ≥ ${formatScore(nmi)}`,
    onRequest: true,
    async measure() {
      const files = await synth(clusters, points, dim, 1, minutes);
      const run = await train(files, ['--workers', 2], { minutes });
      return {
        measured: `K ${run.k}, NMI ${formatScore(run.nmi)}, ${run.wall.toFixed(0)} s`,
        met: isWithin(run.k, k) && run.nmi! >= nmi,
      };
    },
  };
}

export const tableRows: BenchmarkRow[] = [
  ...tables.map(tableRow),
  synthetic,
  manyRow({ clusters: 200, dim: 32, points: 200_000, tolerance: 0.01, nmi: 0.995, minutes: 15 }),
  manyRow({ clusters: 500, dim: 32, points: 200_000, tolerance: 0.01, nmi: 0.995, minutes: 15 }),
  manyRow({ clusters: 500, dim: 10, points: 100_000, tolerance: 0.01, nmi: 0.995, minutes: 15 }),
  manyRow({ clusters: 2000, dim: 32, points: 1_000_000, tolerance: 0.05, nmi: 0.98, minutes: 60 }),
];
