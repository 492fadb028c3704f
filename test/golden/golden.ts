// npm run golden [-- names…] [-- --write]: trains the recipes of test/recipes and some large data, and compares the hashes of their
// labels with those that are kept in hashes.json, a set for each numeric identity; --write keeps those of today. They change only
// where a change of results is meant, and then LOG.md says why.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { synth } from '../../library/synth.ts';
import type { OptionValues } from '../../run/config.ts';
import { makeVenv } from '../bench/python.ts';
import { runFileOf, sha256 } from '../e2e/support.ts';
import { type Ended, type How, trained, updated } from '../recipes/here.ts';
import { RECIPES, type Rows, SHARDS } from '../recipes/recipes.ts';

const SHARED = join(import.meta.dirname, '../../../shared/data');
const FILE = join(import.meta.dirname, 'hashes.json');

/** Of the labels, by numeric identity and recipe. */
export type KnownHashes = Record<string, Record<string, string>>;

/** What is run by hand alone. */
interface Large {
  /** Writes the rows; null where they are not to be had here. */
  data(folder: string): Pick<Rows, 'data'> | null | Promise<Pick<Rows, 'data'> | null>;
  options?: OptionValues;
  later?: undefined;
  asked?: undefined;
}

const shared = (name: string) => (): Pick<Rows, 'data'> | null => {
  const data = join(SHARED, name);
  return existsSync(data) ? { data } : null;
};

/** The digits of scikit-learn, 1,797 × 64. */
async function digits(folder: string): Promise<Pick<Rows, 'data'>> {
  const data = join(folder, 'digits.npy');
  const program = `import sys, numpy, sklearn.datasets as d; numpy.save(sys.argv[1], d.load_digits().data.astype('f4'))`;
  execFileSync(await makeVenv(), ['-c', program, data]);
  return { data };
}

async function manyClusters(folder: string): Promise<Pick<Rows, 'data'>> {
  const data = join(folder, 'many.npy');
  await synth({ out: data, clusters: 500, points: 100_000, dim: 32, seed: 1, force: true });
  return { data };
}

const LARGE: Record<string, Large> = {
  usps: { data: shared('usps_umap10.npy') },
  mnist: { data: shared('mnist_umap10.npy') },
  fashion: { data: shared('fashion_umap10.npy') },
  reuters: { data: shared('reuters_e5.npy') },
  digits: { data: digits },
  'many clusters': { data: manyClusters },
};
export const ALL = { ...RECIPES, ...LARGE };

/** The hash of the labels of a run. */
export function hashOf({ run }: Pick<Ended, 'run'>): { identity: string; hash: string } {
  const whole = join(run, 'labels.npy');
  const file = existsSync(whole) ? whole : join(run, 'labels/labels-000000000000-000000000600.npy');
  return { identity: runFileOf(run).identity, hash: sha256(file).slice(0, 16) };
}

/** Trains a recipe, and updates it by its later rows, in the folder; null where its data are not to be had. */
export async function hashAfter(name: string, folder: string, how: How = {}) {
  const { data: make, options = {}, later, asked } = ALL[name];
  const rows = await make(folder);
  if (!rows) return null;
  const run = join(folder, name.replaceAll(/\W+/g, '-'));
  const shards = name in RECIPES ? SHARDS : 'auto';
  const ended = await trained({ shards, ...options, data: rows.data }, run, how);
  if (!later) return hashOf(ended);
  const { data } = await later(folder);
  return hashOf(await updated(run, { data, shards }, `${run}-2`, { asked, ...how }));
}

export const knownHashes = (): KnownHashes => JSON.parse(readFileSync(FILE, 'utf8'));

export function keepHashes(known: KnownHashes): void {
  writeFileSync(FILE, `${JSON.stringify(known, null, 2)}\n`);
}
