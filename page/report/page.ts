import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PAGE_FILES } from '../../base/package.ts';
import { counted } from '../../base/quantities.ts';
import { byLabels, nameText } from '../../run/described.ts';
import { emptyHistory, kChanges, keptEvents, type RunHistory } from '../../run/history.ts';
import { cardsLegend, clusterCards, legend, tableRows } from '../drawing/clusters.ts';
import {
  configEntries,
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
import { count, escaped, percent } from '../drawing/text.ts';
import { nextSplitText, treeLegend } from '../drawing/tree-picture.ts';
import type { ReportContents } from './contents.ts';
import type { Crosstab } from './crosstab.ts';
import { cardImages } from './exemplar-picture.ts';
import type { CaptionedPicture } from './pictures.ts';

/**
 * The page of a finished run: that of a running one (web/index.html) with the run in it. All that a reader without scripts can have is
 * there as HTML and SVG; the script reads the rest from a block of data, which no browser runs.
 */

/** Events and epochs that a page has: of more, some are left out. */
const MOST_EVENTS = 3000;
const MOST_EPOCHS = 5000;

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
