import {
  type ClusterDetails,
  clusterCard,
  nameOf,
  type RowContents,
  rowsOfCard,
  rowText,
} from '../view/cluster-details.ts';
import { neighboursText, shareOf } from '../view/cluster-table.ts';
import type { ModelView } from '../view/model-view.ts';
import { escaped } from '../view/text.ts';
import { byId, setHtml, setText } from './dom.ts';
import type { Feed } from './feed.ts';

/** What the page points out, and the rows of it. */

/** A cluster, by its slot, which survives renumbering; perhaps a point of it. */
export interface Highlight {
  /** The slot under the pointer or focus, else the pinned one; null if neither. */
  readonly current: number | null;
  readonly pinned: number | null;
  /** The point of the plot that was clicked; null if it was the cluster. */
  readonly point: number | null;
  hover(slot: number | null): void;
  /** Pins the slot, and a point of it. */
  pin(slot: number, point: number | null): void;
  /** Pins the slot, or unpins it if it is pinned. */
  togglePin(slot: number): void;
  onChange(listener: () => void): void;
}

export function createHighlight(): Highlight {
  let hovered: number | null = null;
  let pinned: number | null = null;
  let point: number | null = null;
  const listeners: (() => void)[] = [];
  const notify = () => {
    for (const listener of listeners) listener();
  };
  const set = (slot: number | null, at: number | null) => {
    [pinned, point] = [slot, at];
    notify();
  };
  return {
    get current() {
      return hovered ?? pinned;
    },
    get pinned() {
      return pinned;
    },
    get point() {
      return point;
    },
    hover(slot) {
      if (slot === hovered) return;
      hovered = slot;
      notify();
    },
    pin: (slot, at) => (pinned === slot && point === at ? set(null, null) : set(slot, at)),
    togglePin: (slot) => (pinned === slot ? set(null, null) : set(slot, null)),
    onChange: (listener) => void listeners.push(listener),
  };
}

/** The panel with the rows of the cluster, or the point, that was clicked. */
export interface RowsPanel {
  show(view: ModelView): void;
  /** What is known of the clusters of a run that is over. */
  describe(details: readonly ClusterDetails[]): void;
  /** Rows that are typical of a cluster, the most typical first. */
  typicalRows(cluster: number): readonly number[];
}

/** Rows in one request. */
const MOST_ROWS = 24;

export function rowsPanel(highlight: Highlight, load: Feed['rows']): RowsPanel {
  const panel = byId('rows');
  let view: ModelView | null = null;
  let details: readonly ClusterDetails[] = [];
  let shown = '';

  byId('rows-close').onclick = () => {
    if (highlight.pinned !== null) highlight.togglePin(highlight.pinned);
  };
  highlight.onChange(draw);

  async function draw() {
    const cluster = view?.clusters.findIndex(({ slot }) => slot === highlight.pinned) ?? -1;
    panel.hidden = cluster < 0;
    if (cluster < 0 || !view) return void (shown = '');
    const { rows, nearest } = view.clusters[cluster];
    const card = {
      cluster,
      rows: view.counted ? rows : null,
      share: shareOf(view, cluster),
      nearest: neighboursText(nearest),
      details: details[cluster] ?? null,
      sampled: view.typical[cluster] ?? [],
    };
    const row = highlight.point === null ? null : (view.rows[highlight.point] ?? null);
    const key = JSON.stringify([card, row]);
    if (key === shown) return;
    shown = key;
    setText(byId('h-rows'), row === null ? `Rows of cluster ${cluster}` : `Row ${row.toLocaleString('en')}`);
    const fill = (contents: RowContents | null) => {
      const byRow = new Map(contents?.rows.map((one) => [one.row, one]));
      const image = (of: number) => {
        const content = byRow.get(of);
        return content?.image ? rowImage(content.image, nameOf(content)) : null;
      };
      const point =
        row === null
          ? ''
          : `<h3>The row at this point</h3>${rowText({ row, ...byRow.get(row) }, contents?.names ?? null, image(row))}`;
      setHtml(byId('rows-body'), point + clusterCard({ ...card, image }));
    };
    fill(null);
    const wanted = [...new Set([...(row === null ? [] : [row]), ...rowsOfCard(card)])];
    const found = await load(wanted.slice(0, MOST_ROWS));
    if (found && shown === key) fill(found);
  }

  return {
    typicalRows: (cluster) =>
      details[cluster]?.exemplars.map(({ row }) => row) ?? view?.typical[cluster] ?? [],
    show(next) {
      view = next;
      void draw();
    },
    describe(known) {
      details = known;
      void draw();
    },
  };
}

/** A small image of a row, without smoothing. */
const rowImage = (source: string, name: string) =>
  `<img class="row-image" src="${escaped(source)}" alt="${escaped(`Image of ${name}`)}">`;

/** Images of a cluster beside the pointer, where rows are images. */
export interface Montage {
  /** Those of its typical rows; null: none. */
  show(cluster: number | null): void;
}

const MOST_IMAGES = 8;

/** `typicalRows`: rows of the data that are near the centre of a cluster. */
export function montageOf(load: Feed['rows'], typicalRows: (cluster: number) => readonly number[]): Montage {
  const box = byId('scatter-montage');
  let shown: number | null = null;
  return {
    async show(cluster) {
      if (cluster === shown) return;
      shown = cluster;
      box.hidden = true;
      if (cluster === null) return;
      const found = await load(typicalRows(cluster).slice(0, MOST_IMAGES));
      const images = found?.rows.flatMap(({ row, image }) => (image ? [rowImage(image, `row ${row}`)] : []));
      // The pointer may have gone on meanwhile.
      if (shown !== cluster || !images?.length) return;
      setHtml(box, images.join(''));
      box.setAttribute('aria-label', `Images of cluster ${cluster}`);
      box.hidden = false;
    },
  };
}
