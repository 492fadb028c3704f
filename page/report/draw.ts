import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { attempted, makeFolder, readFully, statusOf, withFile, writeFile } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import type { FileReaders } from '../../run/file-readers.ts';
import { filesOfPicture, PICTURES, REPORT, REPORT_FILES } from '../../run/report-files.ts';
import { type DirectoryId, displacedRun, leadsTo } from '../../run/run-lock.ts';
import { assertNoLink } from '../../run/run-path.ts';
import type { ReportContents } from './contents.ts';
import { gatherContents, type ReportInputs } from './gather.ts';
import { reportPage } from './page.ts';
import { type CaptionedPicture, picturesOf } from './pictures.ts';
import { pngOf } from './png.ts';

/** The report of a run in a folder. */

export type Report = Awaited<ReturnType<typeof drawReport>>;

/**
 * Draws a run into a folder: each picture as SVG and PNG, and report.html with all of them. The output is deterministic.
 * Pictures of an earlier report that this one lacks are removed. UserError if the folder cannot be written. `before`: called
 * before anything is made, and before each file gets its name; if it throws, there is no such file. Returns the path of report.html, the
 * names of the pictures, and what was left out, and why.
 */
export async function drawReport(folder: string, contents: ReportContents, before = () => {}) {
  before();
  makeFolder(folder);
  const put = (name: string, content: string | Uint8Array) =>
    writeFile(join(folder, name), [Buffer.from(content)], { before });
  const drawn: (CaptionedPicture & { pixels: ReturnType<typeof pngOf> })[] = [];
  // PNGs are rendered on other threads while the next picture is composed here.
  for (const picture of picturesOf(contents)) {
    const pixels = pngOf(picture.svg, picture.zoom);
    pixels.catch(() => {});
    drawn.push({ ...picture, pixels });
  }
  // First: should the rest fail, the folder is known as that of a report, and can be used again.
  await put(REPORT, reportPage(contents, drawn, false));
  const writing: Promise<unknown>[] = drawn.flatMap(({ name, svg, pixels }) => [
    pixels.then((content) => put(`${name}.png`, content)),
    put(`${name}.svg`, svg),
  ]);
  before();
  const pictures = drawn.map(({ name }) => name);
  const isGone = (name: string) => !pictures.includes(name) && isPicture(join(folder, `${name}.svg`));
  const gone = PICTURES.filter(isGone).flatMap(filesOfPicture);
  const remove = async (path: string) => attempted(path, 'removed', () => rmSync(path, { force: true }));
  const removing = gone.map((file) => remove(join(folder, file)));
  const failed = (await Promise.allSettled([...writing, ...removing])).find(
    ({ status }) => status === 'rejected',
  );
  if (failed) throw (failed as PromiseRejectedResult).reason;
  const { notes, withoutPoints } = contents;
  return { path: join(folder, REPORT), pictures, notes, withoutPoints };
}

/** Bytes of a report within which its title is, which ends so in all versions. */
const HEAD_BYTES = 1 << 14;
const TITLE_END = ' · dpmesh</title>';

/** By which a picture of any version names its title and description. */
const DESCRIBED = /^<svg [^>]*aria-labelledby="[\w-]+-t [\w-]+-d"/;

const isReport = (path: string) => headOf(path).includes(TITLE_END);
const isPicture = (path: string) => DESCRIBED.test(headOf(path));

/** What a file begins with; nothing where there is none. */
function headOf(path: string): string {
  if (!existsSync(path)) return '';
  return withFile(
    path,
    (file) => {
      const head = Buffer.alloc(Math.min(file.size, HEAD_BYTES));
      readFully(file, head, 0);
      return head.toString();
    },
    { canBeEmpty: true },
  );
}

/** UserError if the folder has files that are not from a report, but have names of its files: they would be overwritten or removed. */
export function assertReportFolder(folder: string): void {
  const stat = statusOf(folder);
  if (stat && !stat.isDirectory())
    throw new UserError(`--out ${folder} is a file, not a folder: name the folder for the pictures`);
  if (isReport(join(folder, REPORT))) return;
  const other = REPORT_FILES.find((name) => existsSync(join(folder, name)));
  if (other)
    throw new UserError(`--out ${folder} has a ${other} that is not of a report: choose another folder`);
}

export interface ReportOptions extends ReportInputs {
  /** Output folder; by default `report` in the run directory. */
  out?: string;
  /** The run directory, where its path must lead to that one still. */
  directory?: DirectoryId;
}

/** Draws the report of a run. UserError if `run` is not a run directory or the folder cannot be written. */
export async function writeReport(run: string, options: ReportOptions, read: FileReaders): Promise<Report> {
  const { out, directory } = options;
  const folder = out ?? join(run, 'report');
  if (out === undefined) assertNoLink(folder);
  else assertReportFolder(folder);
  return drawReport(folder, await gatherContents(run, options, read), () => {
    if (directory && !leadsTo(run, directory)) throw displacedRun(run);
    if (out === undefined) assertNoLink(folder);
  });
}
