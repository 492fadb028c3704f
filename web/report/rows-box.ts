import type { ClusterDetails, RowContents } from '../../view/cluster-details.ts';
import type { ReportData } from '../../view/report-data.ts';
import { detailElements } from '../details.ts';
import type { FoundPoint } from './points.ts';

/** Where the report shows the rows of what was clicked: below that. */
export interface RowsBox {
  /** Null hides it. */
  show(below: HTMLElement, found: FoundPoint | null): void;
}

export function rowsBox(data: ReportData, details: ReadonlyMap<number, ClusterDetails>): RowsBox {
  const box = document.createElement('aside');
  box.className = 'rows';
  box.setAttribute('aria-live', 'polite');
  box.setAttribute('aria-label', 'Rows');
  const total = data.rows.reduce((a, b) => a + b, 0);
  return {
    show(below, found) {
      box.hidden = !found;
      if (!found) return;
      const { cluster, row } = found;
      const rows = cluster === null ? undefined : data.rows[cluster];
      box.replaceChildren(
        ...(cluster === null
          ? [document.createTextNode(`Row ${row!.toLocaleString('en')}`)]
          : detailElements(
              {
                cluster,
                row,
                rows: rows ?? null,
                share: rows === undefined || !total ? null : rows / total,
                nearest: data.nearest[cluster] ?? '',
                details: details.get(cluster) ?? null,
                sampled: sampledOf(data, cluster),
              },
              imagesInReport(),
            )),
      );
      below.append(box);
    },
  };
}

/** Rows of a cluster that the report has: those of its images, else of its points. */
function sampledOf({ numbers }: ReportData, cluster: number): number[] {
  for (const name of ['exemplars', 'clusters', 'map']) {
    const columns = numbers[name];
    if (!columns?.cluster) continue;
    const rows = columns.row.filter((_, i) => columns.cluster[i] === cluster) as number[];
    if (rows.length) return rows;
  }
  return [];
}

/** The pictures of rows that are in the report. */
function imagesInReport(): RowContents {
  const images = [...document.querySelectorAll<SVGImageElement>('image[data-row]')];
  return {
    names: null,
    rows: images.map((image) => ({ row: Number(image.dataset.row), image: image.getAttribute('href')! })),
  };
}
