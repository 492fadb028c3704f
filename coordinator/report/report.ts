import { join } from 'node:path';
import { assertReportFolder, drawReport, type Report } from '../../report/draw.ts';
import { gatherContents, type ReportInputs } from './gather.ts';

export interface ReportOptions extends ReportInputs {
  /** Output folder; by default `report` in the run directory. */
  out?: string;
}

/** Draws the report of a run. UserError if `run` is not a run directory or the folder cannot be written. */
export async function writeReport(run: string, options: ReportOptions): Promise<Report> {
  const folder = options.out ?? join(run, 'report');
  if (options.out !== undefined) assertReportFolder(folder);
  return drawReport(folder, await gatherContents(run, options));
}
