import type { Flags } from './flags.ts';

/** What people type who come from other tools of clustering, and what takes its place here. */

export interface Habit {
  /** The names of flags elsewhere. */
  names: readonly string[];
  /** The flag in its place; the habit is known to commands that have it. */
  flag: string;
  /** What to do. */
  says: string;
}

const NO_K =
  'there is no K to give, the data decide: leave it out, and join clusters afterwards with dpmesh cut runs/x --clusters 7, or ask for about so many with --clusters 60';

export const HABITS: readonly Habit[] = [
  {
    names: [
      ...['n-clusters', 'num-clusters', 'k', 'nclusters'],
      ...['nr-topics', 'n-topics', 'num-topics', 'topics'],
    ],
    flag: 'init-k',
    says: `${NO_K} (--init-k is only what a run starts from)`,
  },
  {
    names: ['n-components'],
    flag: 'init-k',
    says: `for clusters, ${NO_K}; for axes of a projection, use --transform pca:16`,
  },
  { names: ['random-state', 'rng', 'random-seed'], flag: 'seed', says: 'use --seed 0' },
  {
    names: ['max-iter', 'n-iter', 'iterations', 'max-iterations', 'epochs', 'n-epochs', 'num-epochs'],
    flag: 'max-epochs',
    says: 'leave it out: a run ends by itself once K has settled (--max-epochs 1000 raises its limit)',
  },
  {
    names: ['tol', 'tolerance'],
    flag: 'early-stop',
    says: 'leave it out: a run ends once splits and merges change nothing (--no-early-stop: never)',
  },
  {
    names: ['n-init', 'restarts'],
    flag: 'replicates',
    says: 'one run is enough; --replicates 8 shows how far its K can be relied on',
  },
  {
    names: ['eps', 'epsilon', 'cluster-selection-epsilon', 'distance-threshold', 'threshold', 'bandwidth'],
    flag: 'alpha',
    says: 'there is no distance to give, as the shape of each cluster is learned: leave it out; a larger --alpha favours more clusters',
  },
  {
    names: ['min-cluster-size', 'min-samples', 'min-pts', 'min-points', 'min-topic-size'],
    flag: 'alpha',
    says: 'there is no size to give, a cluster is as small as the data support: leave it out; dpmesh cut joins clusters afterwards, and with --likelihood graph a larger --resolution finds smaller ones',
  },
  {
    names: ['n-neighbors', 'n-neighbours', 'neighbors'],
    flag: 'likelihood',
    says: 'there are no neighbours to count: leave it out; --likelihood graph takes their graph, and --resolution makes its clusters finer or coarser',
  },
  {
    names: ['metric', 'affinity', 'linkage', 'distance', 'cosine'],
    flag: 'transform',
    says: 'there is no metric to choose, as the shape of each cluster is learned: leave it out; for cosine, scale rows to unit length with --transform normalize',
  },
  { names: ['covariance-type'], flag: 'covariance', says: 'use --covariance full or --covariance diag' },
  {
    names: ['weight-concentration-prior', 'concentration', 'gamma'],
    flag: 'alpha',
    says: 'use --alpha, the concentration of the Dirichlet process',
  },
  { names: ['batch', 'minibatch', 'bs'], flag: 'batch-size', says: 'use --batch-size 128' },
  { names: ['learning-rate', 'lrate'], flag: 'lr', says: 'use --lr 0.01' },
  {
    names: ['scale', 'scaler', 'standardize', 'normalize', 'norm'],
    flag: 'transform',
    says: 'use --transform standard or --transform normalize',
  },
  {
    names: ['pca', 'whiten', 'n-pca'],
    flag: 'transform',
    says: 'use --transform pca:16, or pca:0.95 for a share of the variance',
  },
  {
    names: ['latent-dim', 'embedding-dim', 'z-dim'],
    flag: 'latent',
    says: 'use --latent 10, with --encoder autoencoder',
  },
  {
    names: ['threads', 'jobs', 'cores', 'cpus', 'processes', 'num-workers', 'n-workers', 'j'],
    flag: 'workers',
    says: 'use --workers 2, or --n-jobs -1 for all cores',
  },
  {
    names: ['workers', 'n-jobs', 'gpus', 'per-gpu'],
    flag: 'bind',
    says: 'a coordinator starts no workers: start them with dpmesh worker or dpmesh launch --gpus all, or use dpmesh train',
  },
  {
    names: ['cuda', 'device', 'use-gpu', 'accelerator'],
    flag: 'gpus',
    says: 'use --gpus all (or numbers as in nvidia-smi); --backend chooses what computes',
  },
  {
    names: ['input', 'file', 'i', 'x', 'dataset', 'data-path'],
    flag: 'data',
    says: 'name the file without a flag, or with --data',
  },
  { names: ['y', 'true', 'target', 'ground-truth', 'gt'], flag: 'labels', says: 'use --labels' },
  { names: ['output', 'o', 'output-dir', 'out-dir', 'save', 'dir'], flag: 'out', says: 'use --out' },
  { names: ['overwrite', 'f', 'yes'], flag: 'force', says: 'use --force' },
];

/** What to do in place of the unknown flag `name`, if it is one of another tool and the command has what takes its place. */
export const habitNamed = (name: string, flags: Flags): string | null =>
  HABITS.find(({ names, flag }) => names.includes(name) && flags[flag] && !flags[flag].hidden)?.says ?? null;
