import { counted } from '../../base/quantities.ts';
import { byLabels, type Described } from '../../run/described.ts';
import type { Summary } from '../../run/summary.ts';
import { isOver, type RunInfo } from '../drawing/api.ts';
import { cardsLegend, clusterCards } from '../drawing/clusters.ts';
import type { ModelView } from '../drawing/model-view.ts';
import {
  configEntries,
  endText,
  kNow,
  listItems,
  outcomeEntries,
  scoreLegend,
  topNumbers,
  versionsText,
} from '../drawing/panels.ts';
import { charts, riverPanel, treePanel } from './charts.ts';
import { controls, onThemeChange, themeButton } from './controls.ts';
import { byId, setHtml, setText } from './dom.ts';
import {
  type ConnectionState,
  type Feed,
  liveFeed,
  type PageStore,
  type StorePart,
  savedFeed,
} from './feed.ts';
import { laneChart } from './lanes.ts';
import { logList } from './log.ts';
import { wholeMap } from './map.ts';
import { createHighlight, montageOf, rowsPanel } from './rows.ts';
import { addSaveButtons } from './save.ts';
import { mapButton, scatterPlot } from './scatter.ts';
import { clusterTableView, makeSortable } from './table.ts';

/** The page put together: panels, and who gets which data when. Each panel knows its own, and feed.ts where they come from. */

type DrawnPart = StorePart | 'model';

/** Minimum milliseconds between redraws of charts and lists: an epoch may take less than a frame. */
const REDRAW_INTERVAL = 100;
/** The report is drawn after the run is done. */
const WAIT_FOR_REPORT = 1500;
/** How often it is looked for the map, ms apart: it is there shortly before the coordinator ends. */
const [MAP_TRIES, WAIT_FOR_MAP] = [100, 300];

function startPage(feed: Feed): void {
  themeButton();
  let store: PageStore | null = null;
  let connection: ConnectionState = 'connecting';
  const dirty = new Set<DrawnPart>();
  let frameRequested = false;
  let lastDraw = 0;

  const highlight = createHighlight();
  const rows = rowsPanel(highlight, feed.rows);
  const montage = montageOf(feed.rows, rows.typicalRows);
  const plot = scatterPlot(highlight, montage, () => scheduleDraw('model'));
  const table = clusterTableView(highlight);
  const tree = treePanel(showModel);
  const river = riverPanel();
  const lanes = laneChart(() => scheduleDraw('work'));
  const lineCharts = charts(announce);
  const log = logList();
  const buttons = controls(notice);
  makeSortable();
  onThemeChange(() => scheduleDraw('model'));
  new ResizeObserver(() => scheduleDraw('model')).observe(byId('scatter-box'));

  const pressMap = mapButton(feed.showMap);
  let view: ModelView | null = null;
  let whole: ReturnType<typeof wholeMap> | null = null;
  let described: Described | null = null;

  function showModel() {
    if (!view) return;
    const shown = tree.show(view);
    plot.show(shown);
    table.show(shown);
    rows.show(shown);
    whole?.show(shown);
  }

  feed.follow({
    loaded(newStore) {
      const isFirst = !store;
      store = newStore;
      showConfig(store.run);
      // A finished run that is opened again has no rounds.
      byId('workers').hidden = isOver(store.status) && !store.work.length;
      byId('events').hidden = isOver(store.status) && !store.events.length;
      if (isOver(store.status)) setText(byId('scatter-empty'), 'Loading the points');
      for (const part of ['epochs', 'events', 'work', 'status'] as const) scheduleDraw(part);
      // Axes say little of texts. Later, the map is the reader's choice.
      if (isFirst && store.run.config.text) {
        pressMap(true);
        feed.showMap(true);
      }
    },
    changed(part) {
      scheduleDraw(part);
      // The numbers of rows and sample rows are known once the data have been read.
      if (part === 'events' && store?.events.at(-1)?.type === 'start') void refreshRun();
    },
    view(next) {
      if (next.counted && !view?.counted) scheduleDraw('epochs');
      view = next;
      showModel();
    },
    connection(newConnection) {
      connection = newConnection;
      if (store) scheduleDraw('status');
      else setText(byId('status'), connection === 'lost' ? 'no connection' : 'connecting');
    },
  });
  addSaveButtons(() => store, { points: plot.table, river: river.table });

  let result: Summary | null = null;
  let isOutcomeShown = false;
  async function showResult({ status, run }: PageStore) {
    if (status !== 'done' || isOutcomeShown) return;
    isOutcomeShown = true;
    void showMap();
    void feed.described().then(showDescribed);
    void feed.updates().then(river.show);
    const outcome = await feed.outcome();
    if (!outcome) return;
    byId('outcome').hidden = byId('score-legend').hidden = false;
    result = outcome.result;
    setHtml(byId('outcome-list'), outcomeEntries(outcome, run.config));
    setText(byId('score-legend'), scoreLegend(result));
    scheduleDraw('epochs');
    if (outcome.report) return;
    await new Promise((resolve) => setTimeout(resolve, WAIT_FOR_REPORT));
    const later = await feed.outcome();
    if (later) setHtml(byId('outcome-list'), outcomeEntries(later, run.config));
  }

  async function showMap() {
    let source = await feed.map();
    // The report of a run that has just ended makes it.
    for (let i = 0; i < MAP_TRIES && source === 'later'; i++) {
      await new Promise((resolve) => setTimeout(resolve, WAIT_FOR_MAP));
      source = await feed.map();
    }
    if (!source || source === 'later') return;
    whole = wholeMap(highlight, feed.rows, source);
    if (described) whole.describe(described.clusters);
    showModel();
  }

  function showDescribed(saved: Described | null) {
    if (!saved) return;
    described = byLabels(saved);
    whole?.describe(described.clusters);
    rows.describe(described.clusters);
    table.describe(described.clusters);
    tree.describe(described);
    const cards = byId('cards-body');
    // A file has them already, with images.
    if (cards.firstElementChild) return;
    byId('cards').hidden = false;
    setHtml(cards, clusterCards(described.clusters, view));
    setText(byId('cards-legend'), cardsLegend(described));
  }

  async function refreshRun() {
    const run = await feed.info();
    if (!run || !store) return;
    store.run = run;
    showConfig(run);
    scheduleDraw('epochs');
  }

  function scheduleDraw(part: DrawnPart) {
    dirty.add(part);
    if (frameRequested) return;
    frameRequested = true;
    requestAnimationFrame(frame);
  }

  function frame(now: number) {
    frameRequested = false;
    if (dirty.delete('model')) plot.draw();
    if (!store || !dirty.size) return;
    if (now - lastDraw < REDRAW_INTERVAL) {
      frameRequested = true;
      return void requestAnimationFrame(frame);
    }
    lastDraw = now;
    if (dirty.has('epochs') || dirty.has('events')) {
      lineCharts.draw(store);
      const { run, present, epochs, work } = store;
      const time = Math.max(epochs.time.at(-1) ?? 0, work.at(-1)?.[7] ?? 0);
      setHtml(
        byId('numbers'),
        topNumbers({ run, history: store, workers: present.size, time, result, view }),
      );
    }
    if (dirty.has('events')) log.draw(store.events);
    if (dirty.has('work')) lanes.draw(store.work);
    showStatus(store);
    dirty.clear();
  }

  let announced = '';
  function showStatus(store: PageStore) {
    const { run, status, present } = store;
    const isLost = connection === 'lost';
    const shown = isLost ? 'connection lost' : status;
    byId('status').dataset.status = isLost ? 'lost' : status;
    setText(byId('status'), shown);
    setText(byId('name'), run.name);
    const k = kNow({ history: store, result, view });
    document.title = [k && `K ${k}`, shown, run.name].filter(Boolean).join(' · ');
    buttons.show(run, status, !isLost);
    if (isOver(status)) notice(endText({ ...run, status }, store), status === 'failed' ? 'bad' : 'good');
    else if (isLost)
      notice(
        `No connection to the coordinator. The page shows the last data received and reconnects automatically. If the run is over, dpmesh view ${run.out} shows it again.`,
        'bad',
      );
    else if (byId('notice').dataset.reason === 'lost') notice('');
    byId('notice').dataset.reason = isLost ? 'lost' : '';
    showNotes(store);
    void showResult(store);
    const clusters = k === undefined ? 'no clusters' : counted(k, 'cluster');
    const summary = `${shown}, ${clusters}, ${counted(present.size, 'worker')}`;
    if (summary !== announced) announce((announced = summary));
  }
}

function showConfig(run: RunInfo): void {
  // A file says more of the run.
  if (!byId('foot').dataset.saved) setHtml(byId('config'), configEntries(run));
  setText(byId('foot'), versionsText(run));
}

/** Notes on the result, once there is one. */
function showNotes({ events }: PageStore): void {
  const notes = events.findLast((event) => event.type === 'done')?.notes ?? [];
  if (!notes.length) return;
  byId('result-notes').hidden = false;
  setHtml(byId('result-notes'), listItems(notes));
}

function notice(text: string, tone: 'good' | 'bad' = 'good'): void {
  const element = byId('notice');
  element.hidden = !text;
  element.dataset.tone = tone;
  setText(element, text);
}

/** Announces a text to screen readers. A second one within 400 ms replaces the first. */
let announceTimer: ReturnType<typeof setTimeout> | undefined;
function announce(text: string): void {
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => setText(byId('announce'), text), 400);
}

document.documentElement.classList.add('has-script');
// The page of a finished run has the run in it.
const saved = document.getElementById('saved-run');
startPage(saved ? savedFeed(JSON.parse(saved.textContent!)) : liveFeed(new Worker('analysis.js')));
