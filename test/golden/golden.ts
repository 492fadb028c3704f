// npm run golden [-- names…] [-- --write]: trains every recipe and compares the hashes of its labels with those that are kept in
// hashes.json, a set for each numeric identity; --write keeps those of today. They change only where a change of results is
// meant, and then LOG.md says why.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CliArgs } from '../../bench/processes.ts';
import { makeVenv } from '../../bench/python.ts';
import { readNpy, writeNpy } from '../../data/npy.ts';
import {
  byOne,
  dpmesh,
  easyData,
  embeddedData,
  jsonOf,
  QUICK,
  runFileOf,
  sha256,
  synth,
} from '../e2e/support.ts';

const SHARED = join(import.meta.dirname, '../../../shared/data');
const FILE = join(import.meta.dirname, 'hashes.json');

export interface Hashes {
  /** The labels of the run, or of its update. */
  labels: string;
  /** What `predict` says of the same rows. */
  predicted: string;
}
/** By numeric identity and recipe. */
export type KnownHashes = Record<string, Record<string, Hashes>>;

interface Recipe {
  /** Of a few seconds: also a test of CI. */
  quick?: boolean;
  /** Writes the rows; null where they are not to be had here. */
  data(folder: string): string | null | Promise<string | null>;
  flags?: CliArgs;
  backend?: string;
  /** Rows that update the run, whose labels are then compared. */
  later?(folder: string): string;
}

const shared = (name: string) => () => {
  const path = join(SHARED, name);
  return existsSync(path) ? path : null;
};

/** The digits of scikit-learn, 1,797 × 64. */
async function digits(folder: string): Promise<string> {
  const path = join(folder, 'digits.npy');
  const program = `import sys, numpy, sklearn.datasets as d; numpy.save(sys.argv[1], d.load_digits().data.astype('f4'))`;
  execFileSync(await makeVenv(), ['-c', program, path]);
  return path;
}

/** A table of numbers, a long tail, counts, many zeros, ratings and categories, of four groups. */
function mixedTable(folder: string): string {
  const { rows, classes } = easyData(folder, 'numbers', 2000);
  const lines = Array.from(classes, (label, i) => {
    const [a, b, c] = rows.subarray(5 * i, 5 * i + 3);
    const noise = Math.abs(c) % 1;
    const count = Math.floor(3 * noise * (1 + (label % 3)));
    const zeros = noise < 0.6 ? 0 : (b * noise).toFixed(3);
    const [rating, city] = [
      1 + ((label + Math.round(noise)) % 5),
      'ABCD'[(label + (noise < 0.1 ? 1 : 0)) % 4],
    ];
    return [a.toFixed(4), Math.exp(b / 4).toPrecision(6), count, zeros, rating, city].join(',');
  });
  const path = join(folder, 'mixed.csv');
  writeFileSync(path, `amount,price,visits,refund,rating,city\n${lines.join('\n')}\n`);
  return path;
}

/** The rows of an array from one number to another. */
function part(folder: string, name: string, { data }: { data: string }, from: number, to: number): string {
  const { shape, data: values } = readNpy(data);
  const path = join(folder, name);
  writeNpy(
    path,
    '<f4',
    [to - from, shape[1]],
    Array.from(values.slice(from * shape[1], to * shape[1]), Number),
  );
  return path;
}

const easyRows = (folder: string) => easyData(folder, 'easy', 3000);
const topicRows = (folder: string) => embeddedData(folder, 'topics', 3000);
const onBackend = (backend: string): Recipe => ({
  backend,
  quick: true,
  data: (folder) => easyRows(folder).data,
  flags: QUICK,
});

export const RECIPES: Record<string, Recipe> = {
  usps: { data: shared('usps_umap10.npy') },
  mnist: { data: shared('mnist_umap10.npy') },
  fashion: { data: shared('fashion_umap10.npy') },
  reuters: { data: shared('reuters_e5.npy') },
  digits: { data: digits },
  'many clusters': {
    data: async (folder) =>
      (await synth(folder, 'many', { clusters: 500, points: 100_000, dim: 32, seed: 1 })).data,
  },
  'mixed table': { data: mixedTable, flags: ['--categorical', 'city', '--log', 'auto'], quick: true },
  encoder: {
    data: (folder) => embeddedData(folder, 'raw', 3000).data,
    flags: ['--encoder', 'autoencoder', '--latent', 6, '--encoder-hidden', '48,24', '--encoder-epochs', 4],
    quick: true,
  },
  update: {
    data: (folder) => part(folder, 'first.npy', easyRows(folder), 0, 2000),
    later: (folder) => part(folder, 'second.npy', easyRows(folder), 2000, 3000),
    flags: QUICK,
    quick: true,
  },
  'graph update': {
    data: (folder) => part(folder, 'early.npy', topicRows(folder), 0, 2000),
    later: (folder) => part(folder, 'late.npy', topicRows(folder), 2000, 3000),
    quick: true,
  },
  paper: {
    data: (folder) => easyRows(folder).data,
    flags: ['--schedule', 'paper', '--max-epochs', 60],
    quick: true,
  },
  wasm: onBackend('wasm'),
  cpu: onBackend('cpu'),
  tensorflow: onBackend('tensorflow'),
  webgpu: onBackend('webgpu'),
};

/** Trains a recipe in the folder; null where its data are not to be had. The command's failure is thrown. */
export async function hashesOf(
  name: string,
  folder: string,
): Promise<{ identity: string; hashes: Hashes } | null> {
  const { data: make, flags = [], backend = 'wasm', later } = RECIPES[name];
  const data = await make(folder);
  if (data === null) return null;
  const file = (what: string) => join(folder, `${name.replaceAll(' ', '-')}-${what}`);
  const quiet: CliArgs = ['--json', '--no-report', '--no-http', '--force'];
  const options = { timeout: 20 * 60_000 };
  const compute: CliArgs = ['--backend', backend, ...quiet];
  let run = file('run');
  jsonOf(await dpmesh(['train', '--data', data, '--out', run, ...byOne(flags), ...compute], options));
  if (later) {
    const [first, rows] = [run, later(folder)];
    run = file('updated');
    jsonOf(await dpmesh(['update', first, '--data', rows, '--out', run, ...byOne([]), ...compute], options));
  }
  const predicted = file('predicted.npy');
  const { code, stderr } = await dpmesh(['predict', run, data, '--out', predicted, '--force'], options);
  if (code !== 0) throw new Error(stderr);
  const hash = (path: string) => sha256(path).slice(0, 16);
  const hashes = { labels: hash(join(run, 'labels.npy')), predicted: hash(predicted) };
  return { identity: runFileOf(run).identity, hashes };
}

export const knownHashes = (): KnownHashes => JSON.parse(readFileSync(FILE, 'utf8'));

export function keepHashes(known: KnownHashes): void {
  writeFileSync(FILE, `${JSON.stringify(known, null, 2)}\n`);
}
