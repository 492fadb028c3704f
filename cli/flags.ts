import type { Options } from 'yargs';

/** A flag of `train` and `coordinator`: how it is shown, what is a good value, what it is by default. */
interface Flag {
  group: string;
  type: 'number' | 'string' | 'boolean';
  describe: string;
  /** Default of each schedule; a text where it depends on the data. */
  fast: unknown;
  paper?: unknown;
  shown?: string;
  choices?: readonly string[];
  /** What is wrong with a value, or null. */
  check?: (value: never) => string | null;
}

const DATA = 'Data:';
const MODEL = 'Model:';
const NETS = 'Networks:';
const COURSE = 'Course of the run:';

const above = (least: number) => (value: number) => (value > least ? null : `must be above ${least}`);
const from = (least: number) => (value: number) => (value >= least ? null : `must be at least ${least}`);
const whole = (least: number) => (value: number) =>
  Number.isInteger(value) && value >= least ? null : `must be a whole number, at least ${least}`;
/** No more than a worker takes (proto/tasks.ts). */
const wholeUpTo = (most: number) => (value: number) =>
  Number.isInteger(value) && value >= 1 && value <= most ? null : `must be a whole number from 1 to ${most}`;
const isSeed = (value: string) =>
  /^\d{1,20}$/.test(value) && BigInt(value) < 2n ** 64n ? null : 'must be a whole number from 0 to 2^64 − 1';
const isHidden = (value: string) =>
  /^[1-9]\d{0,4}(,[1-9]\d{0,4})*$/.test(value) ? null : 'must be layer widths such as 50 or 50,50';
const isTransform = (value: string) =>
  /^(center|normalize|standard|min-max|none|pca:[1-9]\d*)$/.test(value)
    ? null
    : 'must be center, normalize, standard, min-max, none or pca:<axes>';

export const FLAGS = {
  data: {
    group: DATA,
    type: 'string',
    describe: 'rows to cluster: .npy, IDX (also .gz) or CSV',
    fast: undefined,
  },
  labels: {
    group: DATA,
    type: 'string',
    describe: 'true classes, for evaluation only: 1-D .npy, IDX, or file.csv:column',
    fast: null,
    shown: 'none',
  },
  transform: {
    group: DATA,
    type: 'string',
    describe: 'input transform: center, normalize (unit rows), standard, min-max, none, pca:<axes>',
    fast: 'center',
    paper: 'normalize',
    check: isTransform,
  },
  sample: {
    group: DATA,
    type: 'number',
    describe: 'rows to train on; all rows get labels anyway; 0: all',
    fast: null,
    paper: 0,
    shown: 'max(20000, 1000·D)',
    check: whole(0),
  },
  soft: { group: DATA, type: 'boolean', describe: 'also write responsibilities.npy, N×K', fast: false },
  seed: { group: DATA, type: 'string', describe: 'same seed, same bytes (64 bit)', fast: '0', check: isSeed },
  shards: {
    group: DATA,
    type: 'number',
    describe: 'logical shards of the data, S: the most workers of use; changes the result',
    fast: 8,
    check: whole(1),
  },
  alpha: {
    group: MODEL,
    type: 'number',
    describe: 'concentration of the Dirichlet process, α',
    fast: 10,
    check: above(0),
  },
  covariance: {
    group: MODEL,
    type: 'string',
    describe: 'shape of a cluster',
    fast: 'full',
    choices: ['full', 'diag'],
  },
  'prior-scale-choice': {
    group: MODEL,
    type: 'string',
    describe: 'the prior’s Ψ: c·Cov(X), c·I, or c·diag(std(X))',
    fast: 'data-cov',
    paper: 'isotropic',
    choices: ['data-cov', 'isotropic', 'data-std'],
  },
  'prior-scale': {
    group: MODEL,
    type: 'number',
    describe: 'c of the prior’s Ψ',
    fast: null,
    shown: '0.3 for data-cov, else 0.005',
    check: above(0),
  },
  'prior-nu': {
    group: MODEL,
    type: 'number',
    describe: 'degrees of freedom of the prior, ν; at least D + 1',
    fast: null,
    shown: 'D + 2',
    check: above(0),
  },
  'prior-kappa': {
    group: MODEL,
    type: 'number',
    describe: 'points that the prior mean counts for, κ',
    fast: 1e-4,
    check: above(0),
  },
  'weight-smoothing': {
    group: MODEL,
    type: 'number',
    describe: 'added to each cluster’s proportion n_k/n, a',
    fast: 0,
    paper: 0.1,
    check: from(0),
  },
  coarsening: {
    group: MODEL,
    type: 'number',
    describe: 'points n₀ that ratios are tempered to, ζ = min(1, n₀/n); 0: none',
    fast: null,
    paper: 0,
    shown: 'max(10000, 1000·D)',
    check: from(0),
  },
  'init-k': { group: MODEL, type: 'number', describe: 'clusters to start from, K', fast: 1, check: whole(1) },
  hidden: {
    group: NETS,
    type: 'string',
    describe: 'hidden widths of the clustering net, e.g. 50 or 50,50',
    fast: '50',
    check: isHidden,
  },
  lr: {
    group: NETS,
    type: 'number',
    describe: 'Adam’s rate, clustering net',
    fast: 0.01,
    paper: 5e-4,
    check: above(0),
  },
  'sub-lr': {
    group: NETS,
    type: 'number',
    describe: 'Adam’s rate, sub-clustering nets',
    fast: 0.01,
    paper: 5e-3,
    check: above(0),
  },
  'batch-size': {
    group: NETS,
    type: 'number',
    describe: 'rows of a local step; fewer where a shard has not five batches',
    fast: 128,
    check: wholeUpTo(1 << 20),
  },
  'local-steps': {
    group: NETS,
    type: 'number',
    describe: 'steps of each shard between averages, H; 1: average gradients',
    fast: 10,
    paper: 1000,
    check: wholeUpTo(100_000),
  },
  'cluster-loss': {
    group: NETS,
    type: 'string',
    describe: 'loss of the clustering net',
    fast: 'kl',
    choices: ['kl', 'isotropic', 'diag'],
  },
  'sub-loss': {
    group: NETS,
    type: 'string',
    describe: 'loss of the sub-clustering nets',
    fast: 'isotropic',
    choices: ['isotropic', 'kl'],
  },
  schedule: {
    group: COURSE,
    type: 'string',
    describe: 'fast, or the paper’s own (sets other defaults too; see docs/flags.md)',
    fast: 'fast',
    paper: 'paper',
    choices: ['fast', 'paper'],
  },
  'max-epochs': {
    group: COURSE,
    type: 'number',
    describe: 'epochs at the most',
    fast: 200,
    paper: 300,
    check: whole(1),
  },
  'split-merge-every': {
    group: COURSE,
    type: 'number',
    describe: 'epochs between a split step and a merge step',
    fast: 6,
    paper: 30,
    check: whole(1),
  },
  freeze: {
    group: COURSE,
    type: 'number',
    describe: 'epochs that the mixture waits after a change of K',
    fast: 2,
    paper: 5,
    check: whole(0),
  },
  'early-stop': {
    group: COURSE,
    type: 'boolean',
    describe: 'stop when splits and merges change nothing more; --no-early-stop: never',
    fast: true,
    paper: false,
  },
} as const satisfies Record<string, Flag>;

export type FlagName = keyof typeof FLAGS;
export const flags = Object.entries(FLAGS) as [FlagName, Flag][];

/** For yargs. Defaults are shown but not set: what a config file says comes between. */
export const runOptions: Record<string, Options> = {
  config: { type: 'string', group: DATA, describe: 'YAML or JSON of these flags, or a run.json; flags win' },
  ...Object.fromEntries(
    flags.map(([name, { group, type, describe, fast, paper, shown, choices }]): [string, Options] => [
      name,
      {
        type,
        group,
        describe:
          paper === undefined || paper === fast || name === 'schedule'
            ? describe
            : `${describe} (paper schedule: ${paper})`,
        requiresArg: type !== 'boolean',
        ...(choices && { choices }),
        ...((shown ?? fast) !== undefined && { defaultDescription: String(shown ?? fast) }),
      },
    ]),
  ),
};
