import { nodeNames } from '../../run/described.ts';
import type { PictureName } from '../../run/report-files.ts';
import { kChart, lossChart } from '../drawing/charts.ts';
import { mapPicture } from '../drawing/map-picture.ts';
import { ellipsesText, pointsPicture } from '../drawing/points.ts';
import { riverPicture } from '../drawing/river.ts';
import { inDark } from '../drawing/svg.ts';
import { hasJoins, treePicture } from '../drawing/tree-picture.ts';
import type { ReportContents } from './contents.ts';
import { exemplarPicture } from './exemplar-picture.ts';

/** A picture as the report shows it. */
export interface CaptionedPicture {
  name: string;
  svg: string;
  caption: string;
  /** Pixels a unit of its PNG; without, as of other pictures. */
  zoom?: number;
}

/** Pixels a unit of the map with names, for print: 300 an inch where it is 9 inches wide. */
const PRINT_ZOOM = 3;
const WHOLE_CAPTION =
  'All rows on a map (a sample is drawn), and names of clusters. Similar rows lie close together; large distances mean little.';

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
