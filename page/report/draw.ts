import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { attempted, makeFolder, readFully, statusOf, withFile, writeFile } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { filesOfPicture, PICTURES, type PictureName, REPORT, REPORT_FILES } from '../../run/report-files.ts';
import { kChart, lossChart } from '../drawing/charts.ts';
import { nodeNames } from '../drawing/clusters.ts';
import { mapPicture } from '../drawing/map-picture.ts';
import { ellipsesText, pointsPicture } from '../drawing/points.ts';
import { riverPicture } from '../drawing/river.ts';
import { inDark } from '../drawing/svg.ts';
import { hasJoins, treePicture } from '../drawing/tree-picture.ts';
import { exemplarPicture } from './exemplars.ts';
import { type CaptionedPicture, type ReportContents, reportPage } from './page.ts';
import { pngOf } from './png.ts';

/** Pixels a unit of the map with names, for print: 300 an inch where it is 9 inches wide. */
const PRINT_ZOOM = 3;
const WHOLE_CAPTION =
  'All rows on a map (a sample is drawn), and names of clusters. Similar rows lie close together; large distances mean little.';

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

/** The pictures of a report, drawn one after the other. */
export function* picturesOf(contents: ReportContents): Generator<CaptionedPicture> {
  const { history, view, map, whole, exemplars, classes, updates } = contents;
  const picture = (name: PictureName, svg: string, caption: string) => ({ name, svg, caption });
  if (whole) {
    const svg = mapPicture(whole);
    const print = { zoom: PRINT_ZOOM };
    yield { ...picture('clusters', svg, WHOLE_CAPTION), ...print };
    yield { ...picture('clusters-dark', inDark(svg), ''), ...print };
  } else if (view)
    yield picture(
      'clusters',
      pointsPicture(view),
      view.dim === 1
        ? 'Rows in the colour of their cluster, each at an arbitrary height below the cluster’s curve: its density times its weight.'
        : `Rows in the colour of their cluster, projected onto the axes of largest scatter between the centres. The smallest clusters, with less than a hundredth of the rows together, and the few that are far from all others have no say in these, and may lie outside: their numbers are at the edge. ${ellipsesText(view)}.`,
    );
  if (map && !whole)
    yield picture(
      'map',
      pointsPicture(map),
      'Similar rows lie close together (UMAP’s objective on a sample); large distances mean little.',
    );
  if (exemplars)
    yield picture(
      'exemplars',
      exemplarPicture(exemplars),
      `The images that are nearest to the centre of each cluster${contents.described ? ', and those nearest to another one' : ', of a sample of the rows'}${exemplars.clusters.some(({ decoded }) => decoded) ? ', after what the decoder makes of the mean code of its rows' : ''}.`,
    );
  if (updates) yield picture('river', riverPicture(updates), '');
  if (view?.tree && hasJoins(view.tree))
    yield picture(
      'dendrogram',
      treePicture(view.tree, null, contents.described ? nodeNames(contents.described) : undefined),
      '',
    );
  if (history?.epochs.epoch.length) {
    yield picture('k', kChart(history, classes), '');
    yield picture('losses', lossChart(history.epochs), '');
  }
}
