import type { Legend } from '../../model/shades.ts';
import type { TimedEvent } from '../../run/events.ts';
import { addEpoch, addEvent, cutBack, emptyHistory, type RunHistory } from '../../run/history.ts';
import type { WholeMap } from '../../run/whole-map.ts';
import type { RowContents } from '../drawing/api.ts';
import {
  type History,
  isOver,
  type Message,
  type RunInfo,
  type Status,
  type WorkSpan,
} from '../drawing/api.ts';
import { type MapData, type SelectionTelling, selectedText } from '../drawing/map.ts';
import type { ModelView } from '../drawing/model-view.ts';
import { ANSWERS, ofGathered, type PackedRun, type RunSource, unpackedRun } from '../drawing/run-model.ts';
import type { AnalysisRequest } from './analysis.ts';

/** Where the page has a run from: a coordinator, as it goes on, or the page's own file, where it is finished. */

export type ConnectionState = 'connecting' | 'open' | 'lost' | 'over';

export interface FeedListener {
  /** The complete history has been loaded, initially or after a reconnect. */
  loaded(store: PageStore): void;
  changed(part: StorePart): void;
  view(view: ModelView): void;
  connection(state: ConnectionState): void;
}

/** A run that may still go on. */
export interface Feed extends RunSource {
  follow(listener: FeedListener): void;
  /** Points on a map, or on axes. */
  showMap(onMap: boolean): void;
}

/** A finished run in the page's file, whose rows and map a server may have. */
export function savedFeed(packed: PackedRun): Feed {
  const { isServed } = packed;
  const gathered = unpackedRun(packed);
  const { run, history, view, map } = gathered;
  const served = servedRun();
  let show = (_: ModelView) => {};
  return {
    ...ofGathered(gathered, isServed ? served.rows : imagesInPage),
    ...(isServed && { map: served.map }),
    follow(listener) {
      show = listener.view;
      listener.connection('over');
      listener.loaded({
        ...(history ?? emptyHistory()),
        run,
        status: run.status,
        present: new Set(),
        work: [],
      });
      if (view) show(view);
      // `dpmesh view` counts its viewers.
      if (isServed) new EventSource('api/stream');
    },
    showMap(onMap) {
      const next = onMap ? (map ?? view) : view;
      if (next) show(next);
    },
  };
}

/** Of these rows those whose image the page has in a picture. */
const imagesInPage: RunSource['rows'] = async (rows) => ({
  names: null,
  rows: rows.flatMap((row) => {
    const image = document.querySelector(`image[data-row="${row}"]`)?.getAttribute('href');
    return image ? [{ row, image }] : [];
  }),
});

/** Milliseconds before a reconnect. Doubles from the first to the second. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

/**
 * Follows a run until it ends: opens the stream, loads the history and combines the two. After a disconnect it starts
 * over, because a coordinator that dropped this page, or was killed and resumed, has made progress in between. `analysis` turns model
 * states into views.
 */
export function liveFeed(analysis: Worker): Feed {
  const request: AnalysisRequest = { isOver: false, onMap: false };
  const ask = (change: Partial<AnalysisRequest>) => analysis.postMessage(Object.assign(request, change));
  return {
    ...servedRun(),
    follow(listener) {
      analysis.onmessage = ({ data }: MessageEvent<ModelView>) => listener.view(data);
      followStream(listener, (isLast) => ask({ isOver: isLast }));
    },
    showMap: (onMap) => ask({ onMap }),
  };
}

/** What a server answers (page/routes.ts). */
const servedRun = (): RunSource => ({
  info: () => fetched(ANSWERS.info),
  outcome: () => fetched(ANSWERS.outcome),
  described: () => fetched(ANSWERS.described),
  updates: () => fetched(ANSWERS.updates),
  rows: keptAnswers((rows) => fetched<RowContents>(`api/rows?rows=${rows.join()}`)),
  map: servedMap,
});

/** `state`: the coordinator has a newer model state; `isLast`: the run is over. */
function followStream(listener: FeedListener, state: (isLast: boolean) => void): void {
  let wait = FIRST_WAIT;
  connect();

  function connect() {
    let store: PageStore | null = null;
    const early: Message[] = [];
    const source = new EventSource('api/stream');
    source.onopen = () => void load().catch(reconnect);
    source.onerror = reconnect;
    source.onmessage = ({ data }) => {
      const message: Message = JSON.parse(data);
      if (!store) early.push(message);
      else receive(store, message);
    };

    async function load() {
      const [run, history] = await Promise.all([
        fetchJson<RunInfo>(ANSWERS.info),
        fetchJson<History>('api/history'),
      ]);
      store = createStore(run, history, early);
      listener.connection('open');
      listener.loaded(store);
      state(isOver(store.status));
      wait = FIRST_WAIT;
    }

    function receive(store: PageStore, message: Message) {
      const part = applyMessage(store, message);
      if (message.type === 'state') state(isOver(store.status));
      if (part) listener.changed(part);
      if (part === 'status' && isOver(store.status)) state(true);
    }

    function reconnect() {
      // Stream and history may both fail: reconnect only once.
      if (!source.onerror) return;
      source.onerror = null;
      source.close();
      if (store && isOver(store.status)) return listener.connection('over');
      listener.connection('lost');
      setTimeout(connect, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }
}

async function fetchJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, { cache: 'no-store', signal });
  if (response.status !== 200) throw new Error(`${path}: HTTP ${response.status}`);
  return response.json();
}

/** Null where there is nothing yet, or the coordinator has ended: the stream reports a lost connection. */
const fetched = <T>(path: string, signal?: AbortSignal): Promise<T | null> =>
  fetchJson<T>(path, signal).catch(() => null);

async function servedMap(): ReturnType<Feed['map']> {
  const answer = await fetch('api/map', { cache: 'no-store' }).catch(() => null);
  if (answer?.status !== 200) return answer?.status === 202 ? 'later' : null;
  const about: WholeMap = await answer.json();
  const bytes = async (path: string, signal?: AbortSignal) => {
    const response = await fetch(path, { signal });
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  };
  return {
    about,
    rows: (from, to) => bytes(`api/map/rows?from=${from}&to=${to}`),
    data: () => fetched<MapData>('api/map/data'),
    legend: (column, signal) => fetched<Legend>(`api/map/legend?column=${column}`, signal),
    shades: (column, signal) => bytes(`api/map/shades?column=${column}`, signal),
    telling: (rows, signal) =>
      fetched<SelectionTelling>(`api/map/telling?rows=${selectedText(rows)}`, signal),
    async search(words, signal) {
      const answer = await fetch(`api/map/search?words=${encodeURIComponent(words)}`, { signal });
      return answer.ok ? answer.json() : null;
    },
  };
}

/** Keeps the last answers: the pointer goes over the same clusters again and again. */
const MOST_KEPT = 200;

function keptAnswers(load: Feed['rows']): Feed['rows'] {
  const kept = new Map<string, Promise<RowContents | null>>();
  return async (rows) => {
    if (!rows.length) return null;
    const query = rows.join();
    if (!kept.has(query)) kept.set(query, load(rows));
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
    const found = await kept.get(query)!;
    if (!found) kept.delete(query);
    return found;
  };
}

/** Work entries kept, as many as the coordinator keeps. */
const MAX_WORK = 2000;

/** Everything the page knows about the run except the model state. */
export interface PageStore extends RunHistory {
  run: RunInfo;
  status: Status;
  /** Connected workers. */
  present: Set<string>;
  work: WorkSpan[];
}

/** A part of the store that a message can change. */
export type StorePart = 'epochs' | 'events' | 'work' | 'status';

/** Applies a message and returns the part that changed; null if none did. The page fetches model states itself. */
export function applyMessage(store: PageStore, message: Message): StorePart | null {
  switch (message.type) {
    case 'epoch':
      cutBack(store.epochs, message.epoch - 1);
      addEpoch(store, message);
      return 'epochs';
    case 'event':
      if (message.event.type === 'epoch') return null;
      updatePresent(store.present, message.event);
      addEvent(store, message.event);
      return 'events';
    case 'work':
      store.work.push(...message.work);
      if (store.work.length > MAX_WORK) store.work.splice(0, store.work.length - MAX_WORK);
      return 'work';
    case 'status':
      store.status = message.status;
      return 'status';
    default:
      return null;
  }
}

function updatePresent(present: Set<string>, event: TimedEvent): void {
  if (event.type === 'worker') present.add(event.worker);
  if (event.type === 'worker-gone') present.delete(event.worker);
}

/**
 * A store from the history and the messages that arrived while it was loading. Skips what the history already contains,
 * so nothing is lost or duplicated, whichever of the two the coordinator wrote first.
 */
export function createStore(run: RunInfo, history: History, early: readonly Message[]): PageStore {
  const store: PageStore = { run, status: run.status, present: new Set(run.workers), ...history };
  const seen = new Set(history.events.slice(-1000).map((line) => JSON.stringify(line)));
  const seenWork = new Set(history.work.map((entry) => entry.join()));
  const last = history.epochs.epoch.at(-1) ?? 0;
  for (const message of early) {
    if (message.type === 'epoch' && message.epoch <= last) continue;
    if (message.type === 'event') updatePresent(store.present, message.event);
    if (message.type === 'event' && seen.has(JSON.stringify(message.event))) continue;
    const isWork = message.type === 'work';
    const work = isWork ? message.work.filter((entry) => !seenWork.has(entry.join())) : [];
    applyMessage(store, isWork ? { type: 'work', work } : message);
  }
  return store;
}
