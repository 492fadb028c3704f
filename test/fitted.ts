// Finished runs, trained once for all test files of a `node test/run.mjs`, of which tests take copies: for what only looks at a finished run.
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CliArgs } from './bench/processes.ts';
import { dpmesh, easyData, jsonOf, QUICK, type TestData, trainArgs } from './e2e/support.ts';
import { once } from './once.ts';

/** Rows of all of them but `logarithm`. */
export const ROWS = 600;
const easy = (folder: string) => easyData(folder, 'easy', ROWS);

const RUNS = {
  /** Six Gaussians, with scores and responsibilities. */
  gaussian: { data: easy, flags: ['--soft'] },
  /** The same rows, by the graph of their neighbours. */
  graph: { data: easy, flags: ['--likelihood', 'graph'] },
  /** Columns of which the second has a logarithm. */
  logarithm: {
    data: (folder: string) =>
      easyData(folder, 'skewed', 1000, (row) => [Math.exp(row[0] / 4), row[1], row[2]]),
    flags: ['--logarithm', '1', '--max-epochs', 12],
  },
} satisfies Record<string, { data(folder: string): TestData; flags: CliArgs }>;

const FOLDER = process.env.DPMESH_FITTED ?? mkdtempSync(join(tmpdir(), 'dpmesh-fitted-'));
if (!process.env.DPMESH_FITTED) process.once('exit', () => rmSync(FOLDER, { recursive: true, force: true }));

/** Copies the directory of a finished run, which was trained by one worker, to `to`. Its rows lie beside the original. */
export async function fitted(name: keyof typeof RUNS, to: string): Promise<void> {
  const { data, flags } = RUNS[name];
  const place = join(FOLDER, name);
  const rows = join(FOLDER, `${name}-rows`);
  await once(place, async (draft) => {
    mkdirSync(rows, { recursive: true });
    const { data: path, labels } = data(rows);
    jsonOf(await dpmesh(trainArgs(path, draft, '--labels', labels, '--workers', 1, ...QUICK, ...flags)));
  });
  cpSync(place, to, { recursive: true });
}
