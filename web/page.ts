import { isOver, type Status } from '../view/api.ts';
import type { Picture } from './analyse.ts';
import { charts } from './charts.ts';
import { configList } from './config-list.ts';
import { controls } from './controls.ts';
import { byId, say } from './dom.ts';
import { figures } from './figures.ts';
import { highlight } from './highlight.ts';
import { laneChart } from './lane-chart.ts';
import { logList } from './log-list.ts';
import { scatter } from './scatter.ts';
import { kNow, type Part, type Store } from './store.ts';
import { type Connection, follow } from './stream.ts';
import { clusterTable } from './table.ts';
import { onTheme, themeButton } from './theme.ts';

type Drawn = Part | 'picture';

/** Milliseconds between two drawings of charts and lists: an epoch may take less than a frame. */
const CALM = 100;

/** Starts the page. `analyst` is the worker that turns states into pictures. */
export function page(analyst: Worker): void {
  themeButton();
  let store: Store | null = null;
  let connection: Connection = 'connecting';
  const dirty = new Set<Drawn>();
  let asked = false;
  let last = 0;

  const light = highlight();
  const plot = scatter(light, () => later('picture'));
  const table = clusterTable(light);
  const lanes = laneChart(() => later('work'));
  const graphs = charts(announce);
  const log = logList();
  const buttons = controls(notice);
  onTheme(() => {
    later('picture');
    later('work');
    table.draw();
  });
  new ResizeObserver(() => later('picture')).observe(byId('scatter-box'));
  new ResizeObserver(() => later('work')).observe(byId('lanes-box'));

  analyst.onmessage = ({ data }: MessageEvent<Picture>) => {
    plot.show(data);
    table.show(data);
  };

  follow({
    loaded(now) {
      store = now;
      configList(now.run);
      for (const part of ['epochs', 'events', 'work', 'status'] as const) later(part);
    },
    changed(part) {
      later(part);
      // Rows and sample are known once the data are read.
      if (part === 'events' && store?.events.at(-1)?.type === 'start') refreshRun();
    },
    state: (isLast) => analyst.postMessage(isLast),
    connection(now) {
      connection = now;
      if (store) later('status');
      else say(byId('status'), now === 'lost' ? 'no connection' : 'connecting');
    },
  });

  async function refreshRun() {
    try {
      const got = await fetch('/api/run', { cache: 'no-store' });
      if (!got.ok || !store) return;
      store.run = await got.json();
      configList(store.run);
      later('epochs');
    } catch {
      // The stream says when the coordinator is gone.
    }
  }

  function later(part: Drawn) {
    dirty.add(part);
    if (asked) return;
    asked = true;
    requestAnimationFrame(frame);
  }

  function frame(now: number) {
    asked = false;
    if (dirty.delete('picture')) plot.draw();
    if (!store || !dirty.size) return;
    if (now - last < CALM) {
      asked = true;
      return void requestAnimationFrame(frame);
    }
    last = now;
    if (dirty.has('epochs') || dirty.has('events')) {
      graphs.draw(store);
      figures(store);
    }
    if (dirty.has('events')) log.draw(store.events);
    if (dirty.has('work')) lanes.draw(store.work);
    showStatus(store);
    dirty.clear();
  }

  let said = '';
  function showStatus(store: Store) {
    const { run, status, present, epochs } = store;
    const lost = connection === 'lost';
    const pill = byId('status');
    pill.dataset.status = lost ? 'lost' : status;
    say(pill, lost ? 'connection lost' : status);
    say(byId('name'), run.name);
    const k = kNow(store);
    document.title = [k && `K ${k}`, lost ? 'connection lost' : status, run.name].filter(Boolean).join(' · ');
    buttons.show(run, status, !lost);
    if (isOver(status)) notice(ending(status, epochs.epoch.at(-1)), status === 'failed' ? 'bad' : 'good');
    else if (lost)
      notice(
        'No connection to the coordinator. This is the last that was seen; the page tries again by itself.',
        'bad',
      );
    else if (byId('notice').dataset.about === 'lost') notice('');
    byId('notice').dataset.about = lost ? 'lost' : '';
    const now = `${lost ? 'connection lost' : status}, ${k ?? 'no'} clusters, ${present.size} workers`;
    if (now !== said) announce((said = now));
  }
}

function ending(status: Status, epoch: number | undefined): string {
  const after = epoch ? ` after ${epoch} epochs` : '';
  if (status === 'done') return `The run is done${after}. This is its last picture.`;
  if (status === 'stopped')
    return `The run was stopped${after}; dpmesh resume goes on with it. This is its last picture.`;
  return `The run has failed${after}; its terminal says why. This is its last picture.`;
}

function notice(text: string, tone: 'good' | 'bad' = 'good'): void {
  const place = byId('notice');
  place.hidden = !text;
  place.dataset.tone = tone;
  say(place, text);
}

/** To screen readers, the newest only: a second one within a moment replaces the first. */
let waiting: ReturnType<typeof setTimeout> | undefined;
function announce(text: string): void {
  clearTimeout(waiting);
  waiting = setTimeout(() => say(byId('announce'), text), 400);
}
