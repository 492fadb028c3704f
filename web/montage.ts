import { rowImage } from './details.ts';
import { byId } from './dom.ts';
import type { RowLoader } from './row-loader.ts';

/** Images of a cluster beside the pointer, where rows are images. */
export interface Montage {
  /** Those of its typical rows; null: none. */
  show(cluster: number | null): void;
}

const MOST_IMAGES = 8;

/** `typicalRows`: rows of the data that are near the centre of a cluster. */
export function montageOf(loader: RowLoader, typicalRows: (cluster: number) => readonly number[]): Montage {
  const box = byId('scatter-montage');
  let shown: number | null = null;
  return {
    async show(cluster) {
      if (cluster === shown) return;
      shown = cluster;
      box.hidden = true;
      if (cluster === null) return;
      const found = await loader(typicalRows(cluster).slice(0, MOST_IMAGES));
      const images =
        found?.rows.flatMap(({ row, image }) => (image ? rowImage(image, `row ${row}`) : [])) ?? [];
      // The pointer may have gone on meanwhile.
      if (shown !== cluster || !images.length) return;
      box.replaceChildren(...images);
      box.setAttribute('aria-label', `Images of cluster ${cluster}`);
      box.hidden = false;
    },
  };
}
