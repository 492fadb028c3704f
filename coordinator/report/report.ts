import { join } from 'node:path';
import { assertReportFolder, drawReport, type Report } from '../../report/draw.ts';
import { type Given, gather } from './gather.ts';

export interface ReportOptions extends Given {
  /** Folder; by default `report` in the run directory. */
  out?: string;
}

/** Draws the report of a run. UserError where `run` is no run, or the folder cannot be written. */
export async function writeReport(run: string, options: ReportOptions): Promise<Report> {
  const folder = options.out ?? join(run, 'report');
  if (options.out !== undefined) assertReportFolder(folder);
  return drawReport(folder, await gather(run, options));
}
