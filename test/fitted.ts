// Finished runs, trained once for all test files of a `node test/run.mjs`, of which tests take copies: for what only looks at a finished run.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeNpy } from '../data/npy.ts';
import type { CliArgs } from './bench/processes.ts';
import { dpmesh, easyData, jsonOf, QUICK, runFileOf, trainArgs } from './e2e/support.ts';
import { normals } from './model/support.ts';
import { once } from './once.ts';

/** Rows of `gaussian` and `graph`. */
export const ROWS = 600;
const easy = (folder: string) => easyData(folder, 'easy', ROWS);

/** Rows of `table`. */
export const PEOPLE = 900;
/** What the note of a person says, by cluster. */
export const NOTES = [
  ['the cat sat on the mat', 'the kitten sleeps in the sun'],
  ['the market fell today', 'the bank raises the interest'],
  ['the team won the match', 'the coach praises the goal'],
];
const CENTRES = [
  [20, 10],
  [40, 50],
  [60, 20],
];

interface Files {
  /** Paths. */
  data: string;
  labels: string;
}

/** A table of three clusters, `age` and `income`, with a column of names that need quotes, and one of texts. */
export function people(folder: string, name: string, seed: number): Files & { rows: number[][] } {
  const next = normals(seed);
  const rows = Array.from({ length: PEOPLE }, (_, i) => CENTRES[i % 3].map((centre) => centre + 2 * next()));
  const lines = rows.map(
    ([age, income], i) => `"person, ${i}",${age},${income},${NOTES[i % 3][Math.floor(i / 3) % 2]}`,
  );
  const [data, labels] = [join(folder, `${name}.csv`), join(folder, `${name}-y.npy`)];
  writeFileSync(data, `name,age,income,note\n${lines.join('\n')}\n`);
  writeNpy(
    labels,
    '<i4',
    [PEOPLE],
    rows.map((_, i) => i % 3),
  );
  return { data, labels, rows };
}

const RUNS = {
  /** Six Gaussians, with scores and responsibilities. */
  gaussian: { data: easy, flags: ['--soft'] },
  /** Three clusters of a table with names and texts. */
  table: {
    data: (folder: string) => people(folder, 'people', 3),
    flags: ['--id', 'name', '--text', 'note', '--labels-parquet'],
  },
  /** The same rows, by the graph of their neighbours. */
  graph: { data: easy, flags: ['--likelihood', 'graph'] },
  /** Columns of which the second has a logarithm. */
  logarithm: {
    data: (folder: string) =>
      easyData(folder, 'skewed', 1000, (row) => [Math.exp(row[0] / 4), row[1], row[2]]),
    flags: ['--logarithm', '1', '--max-epochs', 12],
  },
} satisfies Record<string, { data(folder: string): Files; flags: CliArgs }>;

const FOLDER = process.env.DPMESH_FITTED ?? mkdtempSync(join(tmpdir(), 'dpmesh-fitted-'));
if (!process.env.DPMESH_FITTED) process.once('exit', () => rmSync(FOLDER, { recursive: true, force: true }));

/** The flags beside --data, --labels and --out with which it is trained. */
export const flagsOf = (name: keyof typeof RUNS): CliArgs => ['--workers', 1, ...QUICK, ...RUNS[name].flags];

/** Copies the directory of a finished run, which was trained by one worker, to `to`. Returns its rows and true labels, which nothing may change. */
export async function fitted(name: keyof typeof RUNS, to: string): Promise<Files> {
  const place = join(FOLDER, name);
  await once(place, async (draft) => {
    const rows = join(FOLDER, `${name}-rows`);
    mkdirSync(rows, { recursive: true });
    const { data, labels } = RUNS[name].data(rows);
    jsonOf(await dpmesh(trainArgs(data, draft, '--labels', labels, ...flagsOf(name))));
  });
  cpSync(place, to, { recursive: true });
  return runFileOf(to).config;
}
