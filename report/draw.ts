import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, makeFolder, statusOf, writeFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import type { SavedTree } from '../data/saved/saved-clusters.ts';
import type { NextSplit } from '../model/hierarchy/next-split.ts';
import { nonEmpty } from '../view/cluster-table.ts';
import { counted } from '../view/counted.ts';
import type { ReportContents } from './contents.ts';
import type { MixedUp } from './crosstab.ts';
import type { RunHistory } from './history.ts';
import { type CaptionedPicture, type FigureTable, type ReportPart, reportPage } from './html.ts';
import { clusterPicture } from './pictures/clusters.ts';
import { confusionPicture } from './pictures/confusion.ts';
import { dendrogramPicture } from './pictures/dendrogram.ts';
import { exemplarPicture } from './pictures/exemplars.ts';
import { kPicture } from './pictures/k.ts';
import { lossPicture } from './pictures/losses.ts';
import { mapPicture } from './pictures/map.ts';
import { sizesPicture } from './pictures/sizes.ts';
import { type SubClusterView, subClusterPicture } from './pictures/sub-clusters.ts';
import { pngOf } from './png.ts';
import { significant } from './svg.ts';
import { likeliestSplit } from './views.ts';

/** A drawn report. */
export interface Report {
  /** Path of report.html. */
  path: string;
  /** Names of the pictures. */
  pictures: string[];
  /** What was left out, and why. */
  notes: string[];
}

/** Where each picture stands, in the order of the report. */
const PARTS = {
  clusters: 'clusters',
  map: 'clusters',
  exemplars: 'clusters',
  sizes: 'clusters',
  dendrogram: 'relations',
  confusion: 'relations',
  'sub-clusters': 'training',
  k: 'training',
  losses: 'training',
} as const satisfies Record<string, ReportPart>;
type PictureName = keyof typeof PARTS;
const NAMES = Object.keys(PARTS) as PictureName[];
type ReportPicture = CaptionedPicture & { name: PictureName };

/**
 * Draws a run into a folder: each picture as SVG and PNG, and report.html with all of them. The output is deterministic.
 * Pictures of an earlier report that this one lacks are removed. UserError if the folder cannot be written. `before`: called
 * before anything is made, and before each file gets its name; if it throws, there is no such file.
 */
export async function drawReport(
  folder: string,
  contents: ReportContents,
  before = () => {},
): Promise<Report> {
  before();
  makeFolder(folder);
  const put = (name: string, content: string | Uint8Array) =>
    writeFile(join(folder, name), [Buffer.from(content)], { before });
  const drawn: ReportPicture[] = [];
  const rendering = new Map<PictureName, ReturnType<typeof pngOf>>();
  // PNGs are rendered on other threads while the next picture is composed here.
  for (const picture of pictures(contents)) {
    const pixels = pngOf(picture.svg);
    pixels.catch(() => {});
    drawn.push(picture);
    rendering.set(picture.name, pixels);
  }
  // First: should the rest fail, the folder is known as that of a report, and can be used again.
  await put('report.html', reportPage(contents, drawn));
  const writing: Promise<unknown>[] = drawn.flatMap(({ name, svg }) => [
    rendering.get(name)!.then((pixels) => put(`${name}.png`, pixels)),
    put(`${name}.svg`, svg),
  ]);
  before();
  for (const name of NAMES.filter((name) => !drawn.some((picture) => picture.name === name)))
    for (const path of filesOf(name).map((file) => join(folder, file)))
      writing.push(
        rm(path, { force: true }).catch((error) => {
          throw ioError(path, 'removed', error);
        }),
      );
  const failed = (await Promise.allSettled(writing)).find(({ status }) => status === 'rejected');
  if (failed) throw (failed as PromiseRejectedResult).reason;
  return {
    path: join(folder, 'report.html'),
    pictures: drawn.map(({ name }) => name),
    notes: contents.notes,
  };
}

const filesOf = (name: PictureName) => ['svg', 'png'].map((extension) => `${name}.${extension}`);

/** UserError if the folder has pictures that are not from a report: they would be overwritten. */
export function assertReportFolder(folder: string): void {
  const stat = statusOf(folder);
  if (stat && !stat.isDirectory())
    throw new UserError(`--out ${folder} is a file, not a folder: name the folder for the pictures`);
  if (existsSync(join(folder, 'report.html'))) return;
  const foreign = NAMES.flatMap(filesOf).find((name) => existsSync(join(folder, name)));
  if (foreign)
    throw new UserError(`--out ${folder} has a ${foreign} that is not of a report: choose another folder`);
}

function* pictures(contents: ReportContents): Generator<ReportPicture> {
  const { history, clusters, map, exemplars, subClusters, table, tree, confusion, classes, run } = contents;
  const picture = (name: PictureName, svg: string, title: string, caption: string) => ({
    name,
    part: PARTS[name],
    svg,
    title,
    caption,
  });
  const plots: ReportPicture[] = [];
  if (clusters)
    plots.push(
      picture(
        'clusters',
        clusterPicture(clusters),
        'Clusters',
        clusters.dim === 1
          ? 'Rows in the colour of their cluster, each at an arbitrary height below the cluster’s curve: its density times its weight.'
          : 'Rows in the colour of their cluster, centres in black, ellipses at two standard deviations, projected onto the axes of largest scatter between the centres. The smallest clusters, with less than a hundredth of the rows together, and the few that are far from all others have no say in these, and may lie outside: their numbers are at the edge.',
      ),
    );
  if (map)
    plots.push(
      picture(
        'map',
        mapPicture(map, exemplars),
        'Map',
        `Rows that are near each other in all dimensions are near each other here (UMAP’s objective on a sample); distances between far ones mean little, and the number of a cluster far from all others is at the edge.${exemplars ? ' The pointer on a cluster’s number shows images of it.' : ''}`,
      ),
    );
  // As on the live page, the map comes first where rows are texts.
  yield* typeof run.config.text === 'string' ? plots.reverse() : plots;
  if (exemplars)
    yield picture(
      'exemplars',
      exemplarPicture(exemplars),
      'What clusters look like',
      `The images that are nearest to the centre of each cluster${contents.descriptions ? '' : ', of a sample of the rows'}${exemplars.clusters.some(({ decoded }) => decoded) ? ', after what the decoder makes of the mean code of its rows' : ''}.`,
    );
  if (table?.counted) {
    const rows = table.clusters.map((cluster) => cluster.rows);
    const sizes = nonEmpty(rows).map((cluster) => ({ cluster, rows: rows[cluster] }));
    yield picture(
      'sizes',
      sizesPicture(sizes, run.data.rows),
      'Cluster sizes',
      'Rows with each label, over all rows of the data.',
    );
  }
  if (tree && tree.clusters > 1)
    yield {
      ...picture('dendrogram', dendrogramPicture(tree), 'Tree of merges', treeCaption(tree)),
      ...(tree.next?.length && { below: nextSplitTable(tree, tree.next) }),
    };
  if (confusion)
    yield {
      ...picture(
        'confusion',
        confusionPicture(confusion),
        'Clusters and classes',
        'Clusters are in the order of the classes that they are matched with (by the one-to-one matching that defines ACC), on the diagonal; those without a match come last. Of more than 40, the largest matches are shown, and the rest is summed.',
      ),
      ...(confusion.mixedUp.length && { below: mixedUpTable(confusion.mixedUp) }),
    };
  if (subClusters)
    yield picture(
      'sub-clusters',
      subClusterPicture(subClusters),
      `Inside cluster ${subClusters.cluster}`,
      subClusterCaption(subClusters, history),
    );
  if (history) {
    yield picture('k', kPicture(history, classes), 'Number of clusters', kCaption(history));
    yield picture(
      'losses',
      lossPicture(history),
      'Losses',
      'Top: the clustering net, by default how far it is from the clusters of the mixture, 0 where there is no difference. Bottom (sub-loss): the sub-clustering nets, which look for two halves of each cluster; by default they train only in the last epoch before a split step. Losses of different runs, or before and after K changes, do not compare.',
    );
  }
}

const mixedUpTable = (pairs: MixedUp[]): FigureTable => ({
  title: 'Most mixed up',
  columns: ['cluster', 'class', 'rows', 'share of the cluster'],
  rows: pairs.map(({ cluster, class: name, rows, share }) => [
    cluster,
    name,
    rows.toLocaleString('en'),
    `${(100 * share).toFixed(1)} %`,
  ]),
  legend: 'Of all clusters and classes that are not each other’s match, those with the most rows in common.',
});

const treeCaption = ({ measure, likelihood }: SavedTree) =>
  `How the clusters join to fewer, those first that are least apart (from right to left; ${measure}). ${likelihood === 'graph' ? 'A resolution γ says how finely the graph is cut: the higher, the closer two clusters are where they join.' : 'Nats a row: what a row loses on average if the two are one, in natural logarithms; near 0, little tells them apart.'} At the last joins stands how many clusters they leave: dpmesh cut gives the labels of each such number. On the right, clusters and their rows.`;

/** More of them are in tree.json. */
const MOST_SPLITS = 5;

function nextSplitTable({ likelihood }: SavedTree, next: readonly NextSplit[]): FigureTable {
  const isGraph = likelihood === 'graph';
  return {
    title: 'What would split next',
    columns: ['cluster', 'rows of its parts', isGraph ? 'resolution γ' : 'nats a row'],
    rows: next
      .slice(0, MOST_SPLITS)
      .map(({ cluster, sizes, height }) => [
        String(cluster),
        sizes.map((rows) => rows.toLocaleString('en')).join(' + '),
        significant(height),
      ]),
    legend: isGraph
      ? 'Below the tree: the clusters whose halves would separate at the lowest resolutions. Rows are estimates from the sample.'
      : 'Below the tree: the clusters whose halves the evidence favours most, or is least against (below 0). Rows are estimates from the sample.',
  };
}

function subClusterCaption({ cluster, points }: SubClusterView, history: RunHistory | null): string {
  const proposal = history && likeliestSplit(history.splits.filter((split) => split.cluster === cluster));
  const ratio = proposal
    ? ` Of all clusters it was closest to being split in the last split step: log H, the evidence for splitting it in two, was ${significant(proposal.logRatio)}${
        proposal.reason ? `, refused: ${proposal.reason}.` : '; a split would have needed about 0.'
      }`
    : '';
  const sides = new Set(Array.from(points.responsibility, (r) => r > 0.5));
  const oneSided =
    sides.size === 1 ? ' Here the sub-net puts all rows on one side; the refined sub-clusters do not.' : '';
  return `The colour of a row shows the sub-net’s responsibility; centres and ellipses (two standard deviations) are those of the two sub-clusters after refinement, which a split would turn into clusters.${oneSided}${ratio}`;
}

function kCaption({ proposed, steps, sessions }: RunHistory): string {
  const changed = (kind: 'split' | 'merge') =>
    steps.filter((step) => step.kind === kind && step.changed).length;
  const resumed = sessions > 1 ? ` The run was resumed ${counted(sessions - 1, 'time')}.` : '';
  const proposals = [counted(proposed.split, 'split'), counted(proposed.merge, 'merge')].join(' and ');
  return `Proposed: ${proposals}; ${counted(changed('split'), 'split step')} and ${counted(changed('merge'), 'merge step')} changed K.${resumed}`;
}
