import type { Epochs } from '../../run/history.ts';
import { byId, make } from './dom.ts';
import type { PageStore } from './feed.ts';
import { tableTexts } from './table.ts';

/** Pictures and numbers as files for the user to keep. */

export type SheetCell = string | number | null | undefined;

/** Comma-separated values (RFC 4180), which spreadsheets and pandas read. */
export function csvOf(rows: readonly (readonly SheetCell[])[]): string {
  const quoted = (cell: SheetCell) => {
    const plain = String(cell ?? '');
    // A spreadsheet would compute what begins so.
    const isFormula = /^[=+\-@\t\r]/.test(plain) && Number.isNaN(Number(cell));
    const text = isFormula ? `'${plain}` : plain;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(quoted).join(',')}\r\n`).join('');
}

/** What a panel or a figure offers to save; a text is CSV. */
export interface Savable {
  /** The name of the file, without its ending. */
  name(): string;
  png?(): HTMLCanvasElement | SVGSVGElement;
  csv?(): readonly (readonly SheetCell[])[];
}

/** Buttons that save a picture or its numbers. `of`: what it is, for screen readers. */
function saveButtons(of: string, { name, png, csv }: Savable): HTMLElement {
  const box = make('span', 'save');
  const add = (text: string, act: () => unknown) => {
    const button = make('button', 'small', text);
    button.type = 'button';
    button.title = `Save as ${text}`;
    button.setAttribute('aria-label', `Save ${of} as ${text}`);
    button.onclick = act;
    box.append(button);
  };
  if (png) add('PNG', async () => offer(`${name()}.png`, await pngOf(png())));
  if (csv) add('CSV', () => offer(`${name()}.csv`, new Blob([csvOf(csv())], { type: 'text/csv' })));
  return box;
}

/** Offers a file to the user. */
export function offer(name: string, content: Blob): void {
  const link = make('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser reads it after this.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const PIXELS_PER_UNIT = 2;

async function pngOf(picture: HTMLCanvasElement | SVGSVGElement): Promise<Blob> {
  const isCanvas = picture instanceof HTMLCanvasElement;
  const { width, height } = isCanvas ? picture : picture.getBoundingClientRect();
  const unit = isCanvas ? 1 : PIXELS_PER_UNIT;
  const canvas = paperOf(picture, unit * width, unit * height);
  canvas.getContext('2d')!.drawImage(isCanvas ? picture : await imageOf(picture), 0, 0);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the picture is too large')))),
  );
}

/** A canvas of this size in the colour behind a picture, which may be transparent. */
function paperOf(picture: Element, width: number, height: number): HTMLCanvasElement {
  const canvas = make('canvas');
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d')!;
  const isOpaque = (colour: string) => colour !== 'transparent' && !/, 0\)$/.test(colour);
  let behind: Element | null = picture;
  while (behind && !isOpaque(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
  context.fillStyle = behind ? getComputedStyle(behind).backgroundColor : '#ffffff';
  context.fillRect(0, 0, width, height);
  return canvas;
}

/** What the style sheet of the page gives to elements of a picture. */
const STYLES = 'fill stroke stroke-width stroke-dasharray paint-order font-size visibility'.split(' ');

async function imageOf(svg: SVGSVGElement): Promise<HTMLImageElement> {
  const { width, height } = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const own = [...svg.querySelectorAll<SVGElement>('*')];
  for (const [i, element] of [...copy.querySelectorAll<SVGElement>('*')].entries()) {
    const style = getComputedStyle(own[i]);
    for (const name of STYLES) element.style.setProperty(name, style.getPropertyValue(name));
  }
  copy.style.fontFamily = getComputedStyle(svg).fontFamily;
  copy.setAttribute('width', String(PIXELS_PER_UNIT * width));
  copy.setAttribute('height', String(PIXELS_PER_UNIT * height));
  if (!copy.hasAttribute('viewBox')) copy.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}

/** Adds buttons to the panels that save their pictures and numbers. `tables`: those of the plot's points, and of clusters over updates. */
export function addSaveButtons(
  store: () => PageStore | null,
  tables: Record<'points' | 'river', () => (string | number)[][]>,
): void {
  const fileName = (name: string) => `${store()?.run.name ?? 'run'}-${name}`;
  const canvasOf = (id: string) => () => byId(id).querySelector('canvas')!;
  const svgOf = (id: string) => () => byId(id).querySelector('svg')!;
  const columns = (names: readonly (keyof Epochs)[]) => () => {
    const epochs = store()?.epochs;
    const rows = epochs?.epoch.map((_, i): SheetCell[] => names.map((name) => epochs[name][i])) ?? [];
    return [[...names], ...rows];
  };
  const panels: Record<string, { of: string } & Omit<Savable, 'name'>> = {
    clusters: { of: 'the sample points', png: canvasOf('scatter-box'), csv: tables.points },
    table: { of: 'the table of clusters', csv: () => tableTexts(byId<HTMLTableElement>('table')) },
    river: { of: 'clusters over updates', png: svgOf('river-scroll'), csv: tables.river },
    tree: { of: 'the tree of clusters', png: svgOf('tree-scroll') },
    k: { of: 'K over epochs', png: svgOf('chart-k'), csv: columns(['epoch', 'time', 'k']) },
    losses: {
      of: 'the losses',
      png: svgOf('chart-losses'),
      csv: columns(['epoch', 'time', 'loss', 'subLoss']),
    },
  };
  for (const [name, { of, ...savable }] of Object.entries(panels)) {
    const buttons = saveButtons(of, { name: () => fileName(name), ...savable });
    document.querySelector(`.panel.${name} > .head`)!.append(buttons);
  }
  // What only a file has.
  for (const panel of document.querySelectorAll<HTMLElement>('.panel[data-saved]')) {
    const [svg, table] = [panel.querySelector('svg'), panel.querySelector('table')];
    panel.querySelector('.head')!.append(
      saveButtons(panel.querySelector('h2')!.textContent!, {
        name: () => fileName(panel.dataset.saved!),
        ...(table ? { csv: () => tableTexts(table) } : svg && { png: () => svg }),
      }),
    );
  }
}
