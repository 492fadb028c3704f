import { isOver } from '../view/api.ts';
import { counted } from '../view/counted.ts';
import type { Summary } from '../view/summary.ts';
import type { ModelView } from './analyse.ts';
import { charts } from './charts.ts';
import { configList } from './config-list.ts';
import { controls } from './controls.ts';
import { byId, make, setText } from './dom.ts';
import { createHighlight } from './highlight.ts';
import { laneChart } from './lane-chart.ts';
import { logList } from './log-list.ts';
import { montageOf } from './montage.ts';
import { showOutcome } from './outcome.ts';
import { createRowLoader } from './row-loader.ts';
import { rowsPanel } from './rows-panel.ts';
import { addSaveButtons } from './save-panels.ts';
import { mapButton, scatterPlot } from './scatter.ts';
import { currentK, type Store, type StorePart } from './store.ts';
import { type ConnectionState, followRun } from './stream.ts';
import { drawSummary } from './summary.ts';
import { clusterTableView } from './table.ts';
import { onThemeChange, themeButton } from './theme.ts';
import { treePanel } from './tree-panel.ts';
import type { AnalysisRequest } from './worker.ts';

type DrawnPart = StorePart | 'model';

/** Minimum milliseconds between redraws of charts and lists: an epoch may take less than a frame. */
const REDRAW_INTERVAL = 100;

/** Starts the page. `analysisWorker` turns model states into views. */
export function startPage(analysisWorker: Worker): void {
  themeButton();
  let store: Store | null = null;
  let connection: ConnectionState = 'connecting';
  const dirty = new Set<DrawnPart>();
  let frameRequested = false;
  let lastDraw = 0;

  const highlight = createHighlight();
  const loader = createRowLoader();
  const rows = rowsPanel(highlight, loader);
  const montage = montageOf(loader, rows.typicalRows);
  const plot = scatterPlot(highlight, montage, () => scheduleDraw('model'));
  const table = clusterTableView(highlight);
  const tree = treePanel(showModel);
  const lanes = laneChart(() => scheduleDraw('work'));
  const lineCharts = charts(announce);
  const log = logList();
  const buttons = controls(notice);
  onThemeChange(() => {
    scheduleDraw('model');
    scheduleDraw('work');
    table.draw();
  });
  new ResizeObserver(() => scheduleDraw('model')).observe(byId('scatter-box'));
  new ResizeObserver(() => scheduleDraw('work')).observe(byId('lanes-box'));

  const request: AnalysisRequest = { isOver: false, onMap: false };
  const pressMap = mapButton((onMap) => {
    request.onMap = onMap;
    analysisWorker.postMessage(request);
  });
  let view: ModelView | null = null;
  analysisWorker.onmessage = ({ data }: MessageEvent<ModelView>) => {
    view = data;
    showModel();
  };

  function showModel() {
    if (!view) return;
    const shown = tree.show(view);
    plot.show(shown);
    table.show(shown);
    rows.show(shown);
  }

  followRun({
    loaded(newStore) {
      // Axes say little of texts. Later, the map is the reader's choice.
      if (!store && newStore.run.config.text) {
        request.onMap = true;
        pressMap(true);
      }
      store = newStore;
      configList(store.run);
      // A finished run that is opened again has no rounds.
      byId('workers').hidden = isOver(store.status) && !store.work.length;
      if (isOver(store.status)) setText(byId('scatter-empty'), 'Loading the points');
      for (const part of ['epochs', 'events', 'work', 'status'] as const) scheduleDraw(part);
    },
    changed(part) {
      scheduleDraw(part);
      // The numbers of rows and sample rows are known once the data have been read.
      if (part === 'events' && store?.events.at(-1)?.type === 'start') refreshRun();
    },
    state(isLast) {
      request.isOver = isLast;
      analysisWorker.postMessage(request);
    },
    connection(newConnection) {
      connection = newConnection;
      if (store) scheduleDraw('status');
      else setText(byId('status'), connection === 'lost' ? 'no connection' : 'connecting');
    },
  });

  addSaveButtons(() => store, plot.table);

  let result: Summary | null = null;
  let isOutcomeShown = false;
  function showResult({ status, run }: Store) {
    if (status !== 'done' || isOutcomeShown) return;
    isOutcomeShown = true;
    void showOutcome(run.config, (found) => {
      result = found;
      scheduleDraw('epochs');
    });
    void rows.loadDetails().then(table.describe);
  }

  async function refreshRun() {
    try {
      const response = await fetch('api/run', { cache: 'no-store' });
      if (!response.ok || !store) return;
      store.run = await response.json();
      configList(store.run);
      scheduleDraw('epochs');
    } catch {
      // The stream reports a lost connection.
    }
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
      drawSummary(store, result);
    }
    if (dirty.has('events')) log.draw(store.events);
    if (dirty.has('work')) lanes.draw(store.work);
    showStatus(store);
    dirty.clear();
  }

  let announced = '';
  function showStatus(store: Store) {
    const { run, status, present } = store;
    const isLost = connection === 'lost';
    const pill = byId('status');
    pill.dataset.status = isLost ? 'lost' : status;
    setText(pill, isLost ? 'connection lost' : status);
    setText(byId('name'), run.name);
    const k = currentK(store);
    document.title = [k && `K ${k}`, isLost ? 'connection lost' : status, run.name]
      .filter(Boolean)
      .join(' · ');
    buttons.show(run, status, !isLost);
    if (isOver(status)) notice(endText(store), status === 'failed' ? 'bad' : 'good');
    else if (isLost)
      notice(
        `No connection to the coordinator. The page shows the last data received and reconnects automatically. If the run is over, dpmesh view ${run.out} shows it again.`,
        'bad',
      );
    else if (byId('notice').dataset.reason === 'lost') notice('');
    byId('notice').dataset.reason = isLost ? 'lost' : '';
    showNotes(store);
    showResult(store);
    const summary = `${isLost ? 'connection lost' : status}, ${k === undefined ? 'no clusters' : counted(k, 'cluster')}, ${counted(present.size, 'worker')}`;
    if (summary !== announced) announce((announced = summary));
  }
}

function endText({ status, epochs, run: { out } }: Store): string {
  const epoch = epochs.epoch.at(-1);
  const after = epoch ? ` after ${counted(epoch, 'epoch')}` : '';
  if (status === 'done')
    return `The run finished${after}. The page shows its final state; dpmesh view ${out} opens it again.`;
  if (status === 'stopped')
    return `The run was stopped${after}; dpmesh resume ${out} continues it. The page shows its last state.`;
  return `The run failed${after}; its terminal shows the reason. The page shows its last state.`;
}

/** Notes on the result, once there is one. */
function showNotes({ events }: Store): void {
  const done = events.findLast((event) => event.type === 'done');
  const notes = done?.notes ?? [];
  const list = byId('result-notes');
  list.hidden = !notes.length;
  if (list.children.length !== notes.length)
    list.replaceChildren(...notes.map((note) => make('li', '', note)));
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
