import { existsSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { nonEmpty } from '../view/cluster-table.ts';
import type { Contents } from './contents.ts';
import { type Figure, page } from './html.ts';
import { clusterPicture } from './pictures/clusters.ts';
import { confusionPicture } from './pictures/confusion.ts';
import { kPicture } from './pictures/k.ts';
import { lossPicture } from './pictures/losses.ts';
import { sizesPicture } from './pictures/sizes.ts';
import { type SubView, subClusterPicture } from './pictures/sub-clusters.ts';
import { pngOf } from './png.ts';
import { significant } from './svg.ts';

export interface Report {
  /** Of report.html. */
  path: string;
  pictures: string[];
  /** What was left out, and why. */
  notes: string[];
}

const NAMES = ['clusters', 'sub-clusters', 'k', 'losses', 'sizes', 'confusion'] as const;
type Name = (typeof NAMES)[number];
type Picture = Figure & { name: Name };

/**
 * Draws a run into a folder: each picture as SVG and PNG, and report.html with all of them. The same bytes each time.
 * Pictures that a former report has and this one has not are removed. UserError where the folder cannot be written.
 */
export async function drawReport(folder: string, contents: Contents): Promise<Report> {
  makeFolder(folder);
  const put = (name: string, content: string | Uint8Array) =>
    writeFile(join(folder, name), [Buffer.from(content)]);
  const writing: Promise<unknown>[] = [];
  const drawn: Picture[] = [];
  // Pixels are drawn on other threads while the next picture is made here.
  for (const picture of pictures(contents)) {
    const { name, svg } = picture;
    drawn.push(picture);
    writing.push(
      pngOf(svg).then((pixels) => put(`${name}.png`, pixels)),
      put(`${name}.svg`, svg),
    );
  }
  writing.push(put('report.html', page(contents, drawn)));
  for (const name of NAMES.filter((name) => !drawn.some((picture) => picture.name === name)))
    for (const file of picturesFor(name)) writing.push(rm(join(folder, file), { force: true }));
  const failed = (await Promise.allSettled(writing)).find(({ status }) => status === 'rejected');
  if (failed) throw (failed as PromiseRejectedResult).reason;
  return {
    path: join(folder, 'report.html'),
    pictures: drawn.map(({ name }) => name),
    notes: contents.notes,
  };
}

const picturesFor = (name: Name) => ['svg', 'png'].map((ending) => `${name}.${ending}`);

/** Pictures of somebody else are not written over. UserError. */
export function assertReportFolder(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found && !found.isDirectory())
    throw new UserError(`--out ${folder} is a file, not a folder: name the folder for the pictures`);
  if (existsSync(join(folder, 'report.html'))) return;
  const theirs = NAMES.flatMap(picturesFor).find((name) => existsSync(join(folder, name)));
  if (theirs)
    throw new UserError(`--out ${folder} has a ${theirs} that is not of a report: choose another folder`);
}

function* pictures({ history, clusters, sub, table, confusion, classes, run }: Contents): Generator<Picture> {
  const picture = (name: Name, svg: string, title: string, caption: string) => ({
    name,
    svg,
    title,
    caption,
  });
  if (clusters)
    yield picture(
      'clusters',
      clusterPicture(clusters),
      'Clusters',
      clusters.dim === 1
        ? 'Rows in the colour of their cluster, each at a random height below its curve: the density of the cluster times its weight.'
        : 'Rows in the colour of their cluster, centres as large dots, ellipses at two standard deviations, seen along the axes that set the centres furthest apart.',
    );
  if (sub)
    yield picture(
      'sub-clusters',
      subClusterPicture(sub),
      `Inside cluster ${sub.cluster}`,
      subCaption(sub, history),
    );
  if (history) {
    yield picture('k', kPicture(history, classes), 'Number of clusters', kCaption(history));
    yield picture(
      'losses',
      lossPicture(history),
      'Losses',
      'Above the clustering net, below the sub-nets, which train in the epochs that lead to a split.',
    );
  }
  if (table?.counted) {
    const rows = table.clusters.map((cluster) => cluster.rows);
    const sizes = nonEmpty(rows).map((cluster) => ({ cluster, rows: rows[cluster] }));
    yield picture(
      'sizes',
      sizesPicture(sizes, run.data.rows),
      'Cluster sizes',
      'All rows of the data, by their label.',
    );
  }
  if (confusion)
    yield picture(
      'confusion',
      confusionPicture(confusion),
      'Clusters and classes',
      'Clusters stand where the class is that they are matched with (the matching that ACC counts); those without one come last.',
    );
}

function subCaption({ cluster, points }: SubView, history: Contents['history']): string {
  const proposal = history?.splits.find((split) => split.cluster === cluster);
  const how =
    proposal?.logRatio != null
      ? ` Of all clusters it came nearest to being split in the last split step: log H = ${significant(proposal.logRatio)}, and it would have needed about 0.`
      : '';
  const sides = new Set(Array.from(points.share, (share) => share > 0.5));
  const one = sides.size === 1 ? ' The sub-net puts all rows on one side here; the refinement does not.' : '';
  return `The shade of a row is the sub-net’s responsibility; centres and ellipses (two standard deviations) are those of its two sub-clusters after refinement, of which a split would make clusters.${one}${how}`;
}

function kCaption({ proposed, steps, sessions }: NonNullable<Contents['history']>): string {
  const changed = (kind: 'split' | 'merge') =>
    steps.filter((step) => step.kind === kind && step.changed).length;
  const resumed =
    sessions > 1 ? ` The run went on ${sessions - 1} ${sessions === 2 ? 'time' : 'times'} after a stop.` : '';
  return `${proposed.split.toLocaleString('en')} splits and ${proposed.merge.toLocaleString('en')} merges were proposed; ${changed('split')} split steps and ${changed('merge')} merge steps changed K.${resumed}`;
}
