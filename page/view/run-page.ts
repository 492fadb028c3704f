import { dpmeshVersion } from '../../base/package.ts';
import { READ_FILES } from '../../run/read-files.ts';
import { gatherContents } from '../report/gather.ts';
import { reportPage } from '../report/page.ts';
import { picturesOf } from '../report/pictures.ts';
import type { ViewedRun } from './compare.ts';

/** Points that a page has: on the way to this machine's own browser there is room. */
const MOST_POINTS = 20_000;

/** The page of a finished run, which its server sends. `problem`: what is wrong with its data, for the notes. */
export async function runPage({ path }: ViewedRun, problem: string | null): Promise<string> {
  const inputs = { version: dpmeshVersion(), points: MOST_POINTS };
  const contents = await gatherContents(path, inputs, READ_FILES);
  if (problem !== null) contents.notes.push(problem);
  // Where the run was when it ended does not matter here.
  const here = { ...contents, run: { ...contents.run, out: path } };
  return reportPage(here, [...picturesOf(here)], true);
}
