import { byId } from './dom.ts';
import { type Cell, type Savable, saveButtons } from './save.ts';
import { tableTexts } from './sortable.ts';
import type { Store } from './store.ts';

/** Adds buttons to the panels that save their pictures and numbers. `points`: those of the plot. */
export function addSaveButtons(store: () => Store | null, points: () => (string | number)[][]): void {
  const canvasOf = (id: string) => () => byId(id).querySelector('canvas')!;
  const columns = (names: readonly ('epoch' | 'time' | 'k' | 'loss' | 'subLoss')[]) => () => {
    const epochs = store()?.epochs;
    const rows = epochs?.epoch.map((_, i): Cell[] => names.map((name) => epochs[name][i])) ?? [];
    return [[...names], ...rows];
  };
  const panels: Record<string, { of: string } & Omit<Savable, 'name'>> = {
    clusters: { of: 'the sample points', png: canvasOf('scatter-box'), csv: points },
    table: { of: 'the table of clusters', csv: () => tableTexts(byId<HTMLTableElement>('table')) },
    tree: { of: 'the tree of clusters', png: () => byId('tree-scroll').querySelector('svg')! },
    k: { of: 'K over epochs', png: canvasOf('chart-k'), csv: columns(['epoch', 'time', 'k']) },
    losses: {
      of: 'the losses',
      png: canvasOf('chart-losses'),
      csv: columns(['epoch', 'time', 'loss', 'subLoss']),
    },
    workers: { of: 'the rounds by worker', png: canvasOf('lanes-box') },
  };
  for (const [name, { of, ...savable }] of Object.entries(panels)) {
    const head = document.querySelector(`.panel.${name} > .head`)!;
    head.append(saveButtons(of, { name: () => `${store()?.run.name ?? 'run'}-${name}`, ...savable }));
  }
}
