import type { ClusterDetails } from '../../run/described.ts';
import type { RowContents } from '../drawing/api.ts';
import { shareOf } from '../drawing/cluster-table.ts';
import { clusterCard, nameOf, neighboursText, rowsOfCard, rowText } from '../drawing/clusters.ts';
import type { ModelView } from '../drawing/model-view.ts';
import { escaped } from '../drawing/text.ts';
import { byId, setHtml, setText } from './dom.ts';
import type { Feed } from './feed.ts';

/** What the page points out, and the rows of it. */

export type Highlight = ReturnType<typeof createHighlight>;

/** A cluster that is pointed out, by its slot, which survives renumbering; perhaps a row of it. */
export function createHighlight() {
  let hovered: number | null = null;
  let pinned: number | null = null;
  let row: number | null = null;
  const listeners: (() => void)[] = [];
  const notify = () => {
    for (const listener of listeners) listener();
  };
  /** Pins the slot, and a row of it; unpins what is pinned already. */
  const pin = (slot: number, at: number | null) => {
    [pinned, row] = pinned === slot && row === at ? [null, null] : [slot, at];
    notify();
  };
  return {
    /** The slot under the pointer or focus, else the pinned one; null if neither. */
    get current() {
      return hovered ?? pinned;
    },
    get pinned() {
      return pinned;
    },
    /** The row whose point was clicked; null if it was the cluster. */
    get row() {
      return row;
    },
    hover(slot: number | null) {
      if (slot === hovered) return;
      hovered = slot;
      notify();
    },
    pin,
    /** Pins the slot, or unpins it if it is pinned. */
    togglePin: (slot: number) => pin(slot, slot === pinned ? row : null),
    onChange: (listener: () => void) => void listeners.push(listener),
  };
}

/** Rows in one request. */
const MOST_ROWS = 24;

/** The panel with the rows of the cluster, or the point, that was clicked. */
export function rowsPanel(highlight: Highlight, load: Feed['rows']) {
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
    const { id, rows, nearest } = view.clusters[cluster];
    const card = {
      cluster: id,
      rows: view.counted ? rows : null,
      share: shareOf(view, cluster),
      nearest: neighboursText(nearest),
      details: details[cluster] ?? null,
      sampled: view.typical[cluster] ?? [],
    };
    const { row } = highlight;
    const key = JSON.stringify([card, row]);
    if (key === shown) return;
    shown = key;
    setText(byId('h-rows'), row === null ? `Rows of cluster ${id}` : `Row ${row.toLocaleString('en')}`);
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
    /** Rows that are typical of a cluster, the most typical first. */
    typicalRows: (cluster: number): readonly number[] =>
      details[cluster]?.exemplars.map(({ row }) => row) ?? view?.typical[cluster] ?? [],
    show(next: ModelView) {
      view = next;
      void draw();
    },
    /** What is known of the clusters of a run that is over. */
    describe(known: readonly ClusterDetails[]) {
      details = known;
      void draw();
    },
  };
}

/** A small image of a row, without smoothing. */
const rowImage = (source: string, name: string) =>
  `<img class="row-image" src="${escaped(source)}" alt="${escaped(`Image of ${name}`)}">`;

const MOST_IMAGES = 8;

/** Images of a cluster beside the pointer, where rows are images. `typicalRows`: rows of the data that are near its centre. */
export function montageOf(load: Feed['rows'], typicalRows: (cluster: number) => readonly number[]) {
  const box = byId('scatter-montage');
  let shown: number | null = null;
  return {
    /** Those of its typical rows; null: none. `label`: of the cluster. */
    async show(cluster: number | null, label = cluster) {
      if (cluster === shown) return;
      shown = cluster;
      box.hidden = true;
      if (cluster === null) return;
      const found = await load(typicalRows(cluster).slice(0, MOST_IMAGES));
      const images = found?.rows.flatMap(({ row, image }) => (image ? [rowImage(image, `row ${row}`)] : []));
      // The pointer may have gone on meanwhile.
      if (shown !== cluster || !images?.length) return;
      setHtml(box, images.join(''));
      box.setAttribute('aria-label', `Images of cluster ${label}`);
      box.hidden = false;
    },
  };
}
