import { legend, separationText } from '../view/cluster-table.ts';
import { colourOf } from '../view/palette.ts';
import type { Cluster, Picture } from './analyse.ts';
import { byId, make, say } from './dom.ts';
import { column, count, percent, ratio } from './format.ts';
import type { Highlight } from './highlight.ts';

interface Row {
  row: HTMLTableRowElement;
  button: HTMLButtonElement;
  swatch: HTMLElement;
  name: HTMLElement;
  cells: HTMLElement[];
}

/** The table of clusters. One row can be reached with Tab, the others from there with the arrow keys. */
export function clusterTable(light: Highlight): { show(picture: Picture): void; draw(): void } {
  const body = byId<HTMLTableElement>('table').tBodies[0];
  const rows: Row[] = [];
  let clusters: Cluster[] = [];
  let current = 0;

  const slotOf = (target: EventTarget | null) => {
    const row = (target as HTMLElement | null)?.closest('tr');
    return clusters[rows.findIndex((known) => known.row === row)]?.slot ?? null;
  };
  body.onpointerover = ({ target }) => light.hover(slotOf(target));
  body.onpointerleave = () => light.hover(null);
  body.addEventListener('focusin', ({ target }) => light.hover(slotOf(target)));
  body.addEventListener('focusout', () => light.hover(null));
  body.onclick = ({ target }) => {
    const slot = slotOf(target);
    if (slot !== null) light.pin(slot);
  };
  body.onkeydown = (event) => {
    const to = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    focusOn(Math.max(0, Math.min(rows.length - 1, to)));
  };
  light.onChange(mark);

  function focusOn(to: number) {
    rows[current]?.button.setAttribute('tabindex', '-1');
    current = to;
    rows[current].button.setAttribute('tabindex', '0');
    rows[current].button.focus();
  }

  function mark() {
    for (const [c, { row, button }] of rows.entries()) {
      const slot = clusters[c].slot;
      row.classList.toggle('lit', slot === light.now);
      button.setAttribute('aria-pressed', String(slot === light.pinned));
    }
  }

  function draw() {
    const spreads = column(clusters.map(({ spread }) => spread));
    for (const [c, cluster] of clusters.entries()) {
      const { swatch, name, button, cells } = rows[c];
      swatch.style.backgroundColor = colourOf(cluster.colour);
      say(name, String(c));
      button.setAttribute('aria-label', `Cluster ${c}`);
      say(cells[0], count(cluster.rows));
      say(cells[1], percent(cluster.weight));
      say(cells[2], spreads[c]);
      const { nearest, logRatio } = cluster;
      say(cells[3], nearest ? `${nearest.cluster} · ${separationText(nearest)}` : '–');
      say(cells[4], ratio(logRatio));
      cells[4].classList.toggle('growing', (logRatio ?? 0) > 0);
    }
    mark();
  }

  return {
    draw,
    show(picture) {
      clusters = picture.clusters;
      say(byId('table-legend'), legend(picture));
      while (rows.length > picture.k) rows.pop()!.row.remove();
      while (rows.length < picture.k) rows.push(append(body));
      if (current >= rows.length) current = 0;
      for (const [c, { button }] of rows.entries())
        button.setAttribute('tabindex', c === current ? '0' : '-1');
      draw();
    },
  };
}

function append(body: HTMLTableSectionElement): Row {
  const swatch = make('span', 'swatch');
  const name = make('span');
  const button = make('button', 'cluster small', swatch, name);
  button.type = 'button';
  const head = make('th', '', button);
  head.scope = 'row';
  const cells = [0, 1, 2, 3, 4].map(() => make('td', 'n'));
  const row = make('tr', '', head, ...cells);
  body.append(row);
  return { row, button, swatch, name, cells };
}
