import { type ClusterDetails, clusterDetailsIn } from '../view/cluster-details.ts';
import { neighboursText } from '../view/cluster-table.ts';
import type { ModelView } from './analyse.ts';
import { type DetailsInput, detailElements, shownRows } from './details.ts';
import { byId, setText } from './dom.ts';
import type { Highlight } from './highlight.ts';
import type { RowLoader } from './row-loader.ts';

/** The panel with the rows of the cluster, or the point, that was clicked. */
export interface RowsPanel {
  show(view: ModelView): void;
  /** The run is over: loads what is known of its clusters. */
  loadDetails(): Promise<ReadonlyMap<number, ClusterDetails>>;
  /** Rows that are typical of a cluster, the most typical first. */
  typicalRows(cluster: number): readonly number[];
}

/** Rows in one request. */
const MOST_ROWS = 24;

export function rowsPanel(highlight: Highlight, loader: RowLoader): RowsPanel {
  const panel = byId('rows');
  let view: ModelView | null = null;
  let details = new Map<number, ClusterDetails>();
  let shown = '';

  byId('rows-close').onclick = () => {
    if (highlight.pinned !== null) highlight.togglePin(highlight.pinned);
  };
  highlight.onChange(draw);

  const typicalRows = (cluster: number): readonly number[] =>
    details.get(cluster)?.exemplars.map(({ row }) => row) ?? view?.typical[cluster] ?? [];

  async function draw() {
    const cluster = view?.clusters.findIndex(({ slot }) => slot === highlight.pinned) ?? -1;
    panel.hidden = cluster < 0;
    if (cluster < 0 || !view) return void (shown = '');
    const { rows, weight, nearest } = view.clusters[cluster];
    const input: DetailsInput = {
      cluster,
      rows: view.counted ? rows : null,
      share: view.counted ? rows / view.clusters.reduce((sum, other) => sum + other.rows, 0) : weight,
      nearest: neighboursText(nearest),
      details: details.get(cluster) ?? null,
      sampled: view.typical[cluster] ?? [],
      row: highlight.point === null ? null : (view.rows[highlight.point] ?? null),
    };
    const key = JSON.stringify(input);
    if (key === shown) return;
    shown = key;
    setText(
      byId('h-rows'),
      input.row === null ? `Rows of cluster ${cluster}` : `Row ${input.row.toLocaleString('en')}`,
    );
    const body = byId('rows-body');
    body.replaceChildren(...detailElements(input, null));
    const found = await loader(shownRows(input).slice(0, MOST_ROWS));
    if (found && shown === key) body.replaceChildren(...detailElements(input, found));
  }

  return {
    typicalRows,
    show(next) {
      view = next;
      draw();
    },
    async loadDetails() {
      try {
        const response = await fetch('api/clusters', { cache: 'no-store' });
        if (response.status === 200) details = clusterDetailsIn(await response.json());
      } catch {
        // There are those of the sample.
      }
      draw();
      return details;
    },
  };
}
