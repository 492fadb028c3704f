import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { munkres } from 'munkres';
import { PAGE_FILES } from '../../base/package.ts';
import { emptyHistory, kChanges, keptEvents, type RunHistory } from '../../run/history.ts';
import { byLabels, cardsLegend, clusterCards, legend, nameText, tableRows } from '../drawing/clusters.ts';
import {
  configEntries,
  type Entry,
  listItems,
  outcomeEntries,
  pairsTable,
  plainTable,
  scoreLegend,
  topNumbers,
  versionsText,
} from '../drawing/panels.ts';
import { axesText } from '../drawing/points.ts';
import { updateTexts } from '../drawing/river.ts';
import { type GatheredRun, packedRun } from '../drawing/run-model.ts';
import { count, counted, escaped, percent } from '../drawing/text.ts';
import { nextSplitText, treeLegend } from '../drawing/tree-picture.ts';
import { cardImages, type ExemplarView } from './exemplars.ts';

/**
 * The page of a finished run: that of a running one (web/index.html) with the run in it. All that a reader without scripts can have is
 * there as HTML and SVG; the script reads the rest from a block of data, which no browser runs.
 */

/** Events and epochs that a page has: of more, some are left out. */
const MOST_EVENTS = 3000;
const MOST_EPOCHS = 5000;

/** Everything that the report shows. Null means not available; `notes` say why. */
export interface ReportContents extends GatheredRun {
  /** What the configuration says beside the options. */
  about: Entry[];
  /** Of images. */
  exemplars: ExemplarView | null;
  confusion: Crosstab | null;
  /** Number of true classes. */
  classes: number | null;
  /** Why pictures that could show points show none; also in `notes`. */
  withoutPoints: string | null;
  notes: string[];
}

/** A picture as the report shows it. */
export interface CaptionedPicture {
  name: string;
  svg: string;
  caption: string;
  /** Pixels a unit of its PNG; without, as of other pictures. */
  zoom?: number;
}

/** `isServed`: not a file of its own, but with its script and style beside it, and rows of the data to be asked for. */
export function reportPage(
  contents: ReportContents,
  pictures: readonly CaptionedPicture[],
  isServed: boolean,
): string {
  const { run, about, history, view, outcome, notes, described, classes, exemplars, updates } = contents;
  const picture = (name: string) => pictures.find((one) => one.name === name);
  const clusters = described ? byLabels(described).clusters : [];
  const images = exemplars ? cardImages(exemplars) : new Map<number, string>();
  const allNotes = [...notes, ...(outcome?.result.notes ?? [])];
  const parts: Record<string, string> = {
    name: escaped(run.name),
    status: run.status,
    notice: '',
    notes: listItems(allNotes),
    numbers: topNumbers({
      ...{ run, workers: 0, time: history?.epochs.time.at(-1) ?? 0 },
      history: history ?? emptyHistory(),
      result: outcome?.result ?? null,
      view,
    }),
    'score-legend': outcome ? scoreLegend(outcome.result) : '',
    axes: view ? escaped(axesText(view)) : '',
    stills: ['clusters', 'map'].map((name) => figure(picture(name))).join(''),
    rows: view ? tableRows(view, (c) => ({ name: nameText(clusters[c]) })) : '',
    'table-legend': view ? legend(view) : '',
    cards: clusterCards(clusters, view, (row) => images.get(row) ?? null),
    'cards-legend': described ? escaped(cardsLegend(described)) : '',
    exemplars: panelOf('exemplars', 'What clusters look like', figure(picture('exemplars'))),
    river: picture('river')?.svg ?? '',
    'river-changes': updates ? listItems(updateTexts(updates)) : '',
    tree: picture('dendrogram')?.svg ?? '',
    'next-split': view?.tree ? escaped(nextSplitText(view.tree)) : '',
    'tree-legend': view?.tree ? escaped(treeLegend(view.tree)) : '',
    classes: contents.confusion ? classesPanels(contents.confusion) : '',
    k: picture('k')?.svg ?? '',
    'k-legend': history ? changesText(history, view, classes) : '',
    losses: picture('losses')?.svg ?? '',
    config: configEntries(run, about),
    outcome: outcome ? outcomeEntries(outcome, run.config) : '',
    foot: escaped(versionsText(run)),
  };
  const saved = packedRun({ ...contents, history: shortened(history, isServed) }, isServed);
  const script = `<script type="application/json" id="saved-run">${JSON.stringify(saved).replaceAll('<', '\\u003c')}</script>`;
  let page = readFileSync(`${PAGE_FILES}index.html`, 'utf8').replace(
    / *<!--live-->[\s\S]*?<!--\/live-->\n/g,
    '',
  );
  const shown: Record<string, boolean> = {
    'result-notes': allNotes.length > 0,
    'score-legend': outcome !== null,
    cards: parts.cards !== '',
    river: parts.river !== '',
    tree: parts.tree !== '' || parts['next-split'] !== '',
    'panel-k': parts.k !== '',
    'panel-losses': parts.losses !== '',
    'k-legend': parts['k-legend'] !== '',
    outcome: outcome !== null,
    workers: false,
    'panel-clusters': view !== null,
    'panel-table': view !== null,
  };
  for (const [id, is] of Object.entries(shown))
    page = page.replace(
      new RegExp(`(<[a-z]+[^>]* id="${id}"[^>]*?)( hidden)?>`),
      (_, tag) => `${tag}${is ? '' : ' hidden'}>`,
    );
  page = page
    .replace('<footer id="foot">', '<footer id="foot" data-saved="true">')
    .replace('<title>dpmesh</title>', () => `<title>${escaped(run.name)} · dpmesh</title>`)
    .replace('data-status="starting"', `data-status="${run.status}"`)
    // Last, and in one pass: what is filled in is large.
    .replace(/[^<>]*<!--([\w-]+)-->/g, (place, name: string) =>
      Object.hasOwn(parts, name) ? parts[name] : place,
    );
  return isServed ? page.replace('<!--end-->', () => script) : inOneFile(page, script);
}

/** Puts style and script into the page. Its Content-Security-Policy names both by their hashes and allows nothing else. */
function inOneFile(page: string, data: string): string {
  const style = readFileSync(`${PAGE_FILES}app.css`, 'utf8').trim();
  const code = readFileSync(`${PAGE_FILES}app.js`, 'utf8').replaceAll('</script', '<\\/script').trim();
  // The hash is that of all between the tags.
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = `default-src 'none'; script-src ${hash(code)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
  return page
    .replace('<!--head-->', () => `<meta http-equiv="Content-Security-Policy" content="${policy}" />`)
    .replace(/<!--assets-->[\s\S]*<!--\/assets-->/, () => `<style>${style}</style>`)
    .replace('<!--end-->', () => `${data}\n<script>${code}</script>`);
}

const figure = (picture: CaptionedPicture | undefined) =>
  picture
    ? `<figure data-picture="${picture.name}">${picture.svg}<figcaption>${escaped(picture.caption)}</figcaption></figure>`
    : '';

/** A panel that only such a page has. */
const panelOf = (name: string, title: string, content: string, kind = 'wide') =>
  content
    ? `<section class="panel ${kind}" data-saved="${name}" aria-labelledby="h-${name}"><div class="head"><h2 id="h-${name}">${title}</h2></div>${content}</section>`
    : '';

function classesPanels({ clusters, classes, counts, mixedUp }: Crosstab): string {
  const region = (title: string, table: string) =>
    `<div class="scroll short" tabindex="0" role="region" aria-label="${title}">${table}</div>`;
  const pairs = `<table class="pairs">${pairsTable('cluster ↓ class →', clusters, classes, counts)}</table>`;
  const lines = mixedUp.map((one) => [one.cluster, one.class, count(one.rows), percent(one.share)]);
  const mixed = plainTable(['cluster', 'class', 'rows', 'share of the cluster'], lines);
  return [
    panelOf(
      'confusion',
      'Clusters and classes',
      `${region('Rows in each cluster and class', pairs)}<p class="foot">Clusters are in the order of the classes that they are matched with (by the one-to-one matching that defines ACC), on the diagonal; those without a match come last. Of more than 40, the largest matches are shown, and the rest is summed.</p>`,
      'table wide',
    ),
    mixedUp.length
      ? panelOf(
          'mixed-up',
          'Most mixed up',
          `${region('Most mixed up', `<table class="sortable">${mixed}</table>`)}<p class="foot">Of all clusters and classes that are not each other’s match, those with the most rows in common.</p>`,
          'table wide',
        )
      : '',
  ].join('\n');
}

function changesText({ events }: RunHistory, view: GatheredRun['view'], classes: number | null): string {
  const changes = kChanges(events);
  const changed = (kind: 'split' | 'merge') =>
    counted(changes.filter((change) => change.kind === kind).length, `${kind} step`);
  const resumed = events.filter(({ type }) => type === 'resume').length;
  return [
    `${changed('split')} and ${changed('merge')} changed K.`,
    ...(view && view.weights.length > view.k
      ? [`K counts components: the last ${view.weights.length} are those of ${counted(view.k, 'cluster')}.`]
      : []),
    ...(resumed ? [`The run was resumed ${counted(resumed, 'time')}.`] : []),
    ...(classes === null
      ? []
      : [`There ${classes === 1 ? 'is' : 'are'} ${counted(classes, 'true class', 'true classes')}.`]),
  ].join(' ');
}

/** What the script shows of a history. A file that is sent to others does not name machines. */
function shortened(history: RunHistory | null, isServed: boolean): RunHistory {
  if (!history) return emptyHistory();
  const { epochs } = history;
  const every = Math.ceil(epochs.epoch.length / MOST_EPOCHS);
  const kept = <T>(values: T[]) => values.filter((_, i) => i % every === 0 || i === values.length - 1);
  const columns = Object.entries(epochs).map(([name, values]) => [name, kept<number | null>(values)]);
  const events = history.events.filter(
    ({ type }) => isServed || (type !== 'worker' && type !== 'worker-gone'),
  );
  return { epochs: Object.fromEntries(columns), events: keptEvents(events, MOST_EVENTS) };
}

/** Clusters against classes, ordered for display. */
export type Crosstab = ReturnType<typeof crosstab>;

/** Beyond this number of clusters or classes, only the largest matches are shown, and all others as one group. */
const MOST = 40;
const MOST_MIXED_UP = 10;

/**
 * Clusters beside the classes that they are matched with (the best one-to-one matching of all, as in ACC), so that matches lie on
 * the diagonal, in the order of the classes; after them those without a match. Empty ones are left out. Beyond 40 clusters or
 * classes, the largest matches are kept, and the rest is summed. `ids`: labels of clusters, where these are not their numbers. Returns their names, `counts[cluster][class]`, and those that are mixed up.
 */
export function crosstab(counts: ArrayLike<number>[], classNames: string[], ids?: readonly number[]) {
  const clusterName = (cluster: number) => String(ids?.[cluster] ?? cluster);
  const rowsOf = counts.map((row) => sum(row));
  const classRows = classNames.map((_, c) => counts.reduce((all, row) => all + row[c], 0));
  const clusters = [...rowsOf.keys()].filter((k) => rowsOf[k] > 0);
  const classes = [...classRows.keys()].filter((c) => classRows[c] > 0);
  const cost = clusters.map((k) => classes.map((c) => -counts[k][c]));
  const pairs = (cost.length ? munkres(cost) : []).map(([k, c]) => ({ k: clusters[k], c: classes[c] }));
  const largest = pairs.toSorted((a, b) => counts[b.k][b.c] - counts[a.k][a.c]);
  const isCut = clusters.length > MOST || classes.length > MOST;
  const shown = (isCut ? largest.slice(0, MOST - 1) : pairs).toSorted((a, b) => a.c - b.c);
  const [ownK, ownC] = [shown.map(({ k }) => k), shown.map(({ c }) => c)];
  const rows = grouped(ownK, clusters, rowsOf);
  const columns = grouped(ownC, classes, classRows);
  return {
    clusters: rows.map((group) => nameOf(group, clusterName)),
    classes: columns.map((group) => nameOf(group, (c) => classNames[c])),
    counts: rows.map((own) =>
      columns.map((of) => sum(own.map((k) => of.reduce((all, c) => all + counts[k][c], 0)))),
    ),
    mixedUp: mixedUp(counts, classNames, new Map(pairs.map(({ k, c }) => [k, c])), clusterName),
  };
}

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

/** Groups of one: the matched ones, then the largest of the others where there is room; last the rest as one group. */
function grouped(matched: number[], all: number[], sizes: number[]): number[][] {
  const others = all.filter((one) => !matched.includes(one));
  if (all.length <= MOST) return [...matched, ...others].map((one) => [one]);
  const bySize = others.toSorted((a, b) => sizes[b] - sizes[a]);
  const room = MOST - 1 - matched.length;
  return [...[...matched, ...bySize.slice(0, room)].map((one) => [one]), bySize.slice(room)];
}

const nameOf = (group: number[], name: (one: number) => string) =>
  group.length === 1 ? name(group[0]) : `${group.length} others`;

/** Clusters and classes that have rows in common although others are their match, those with the most in front; `share`: of the cluster. */
function mixedUp(
  counts: ArrayLike<number>[],
  classNames: string[],
  classOf: ReadonlyMap<number, number>,
  clusterName: (cluster: number) => string,
) {
  const found: { cluster: string; class: string; rows: number; share: number }[] = [];
  for (const [k, row] of counts.entries()) {
    const all = sum(row);
    for (const [c, name] of classNames.entries()) {
      if (!row[c] || classOf.get(k) === c) continue;
      if (found.length === MOST_MIXED_UP && row[c] <= found[MOST_MIXED_UP - 1].rows) continue;
      const at = found.findIndex((other) => other.rows < row[c]);
      const one = { cluster: clusterName(k), class: name, rows: row[c], share: row[c] / all };
      found.splice(at < 0 ? found.length : at, 0, one);
      found.length = Math.min(found.length, MOST_MIXED_UP);
    }
  }
  return found;
}
