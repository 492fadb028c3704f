import { join } from 'node:path';
import { assertReportFolder, drawReport, type Report } from '../../report/draw.ts';
import { type DirectoryId, displacedRun, leadsTo } from '../storage/run-lock.ts';
import { assertNoLink } from '../storage/run-path.ts';
import { gatherContents, type ReportInputs } from './gather.ts';

export interface ReportOptions extends ReportInputs {
  /** Output folder; by default `report` in the run directory. */
  out?: string;
  /** The run directory, where its path must lead to that one still. */
  directory?: DirectoryId;
}

/** Draws the report of a run. UserError if `run` is not a run directory or the folder cannot be written. */
export async function writeReport(run: string, options: ReportOptions): Promise<Report> {
  const { out, directory } = options;
  const folder = out ?? join(run, 'report');
  if (out === undefined) assertNoLink(folder);
  else assertReportFolder(folder);
  return drawReport(folder, await gatherContents(run, options), () => {
    if (directory && !leadsTo(run, directory)) throw displacedRun(run);
    if (out === undefined) assertNoLink(folder);
  });
}
