import { byId } from './dom.ts';
import { tableTexts } from './sortable.ts';
import type { Store } from './store.ts';

/** Pictures and numbers as files for the user to keep. */

export type Cell = string | number | null | undefined;

/** Comma-separated values (RFC 4180), which spreadsheets and pandas read. */
export function csvOf(rows: readonly (readonly Cell[])[]): string {
  const quoted = (cell: Cell) => {
    const plain = cell === null || cell === undefined ? '' : String(cell);
    // A spreadsheet would compute what begins so.
    const text =
      typeof cell === 'string' && /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell))
        ? `'${plain}`
        : plain;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(quoted).join(',')}\r\n`).join('');
}

/** What a panel or a figure offers to save; a text is CSV. */
export interface Savable {
  /** The name of the file, without its ending. */
  name(): string;
  png?(): HTMLCanvasElement | SVGSVGElement;
  csv?(): readonly (readonly Cell[])[];
}

/** Buttons that save a picture or its numbers. `of`: what it is, for screen readers. */
function saveButtons(of: string, { name, png, csv }: Savable): HTMLElement {
  const box = document.createElement('span');
  box.className = 'save';
  const add = (text: string, act: () => unknown) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'small';
    button.textContent = text;
    button.title = `Save as ${text}`;
    button.setAttribute('aria-label', `Save ${of} as ${text}`);
    button.onclick = act;
    box.append(button);
  };
  if (png) add('PNG', async () => offer(`${name()}.png`, await pngOf(png())));
  if (csv) add('CSV', () => offer(`${name()}.csv`, new Blob([csvOf(csv())], { type: 'text/csv' })));
  return box;
}

function offer(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser reads it after this.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const PIXELS_PER_UNIT = 2;

async function pngOf(picture: HTMLCanvasElement | SVGSVGElement): Promise<Blob> {
  const canvas = picture instanceof SVGSVGElement ? await painted(picture) : onPaper(picture);
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error('the picture is too large'))),
      'image/png',
    ),
  );
}

/** A canvas of a page may be transparent. */
function onPaper(picture: HTMLCanvasElement): HTMLCanvasElement {
  const canvas = paperOf(picture, picture.width, picture.height);
  canvas.getContext('2d')!.drawImage(picture, 0, 0);
  return canvas;
}

function paperOf(picture: Element, width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
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
const STYLES = [
  'fill',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'paint-order',
  'font-size',
  'visibility',
];

async function painted(svg: SVGSVGElement): Promise<HTMLCanvasElement> {
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
  const canvas = paperOf(svg, PIXELS_PER_UNIT * width, PIXELS_PER_UNIT * height);
  canvas.getContext('2d')!.drawImage(image, 0, 0);
  return canvas;
}

/** Adds buttons to the panels that save their pictures and numbers. `points`: those of the plot. */
export function addSaveButtons(store: () => Store | null, points: () => (string | number)[][]): void {
  const fileName = (name: string) => `${store()?.run.name ?? 'run'}-${name}`;
  const canvasOf = (id: string) => () => byId(id).querySelector('canvas')!;
  const svgOf = (id: string) => () => byId(id).querySelector('svg')!;
  const columns = (names: readonly ('epoch' | 'time' | 'k' | 'loss' | 'subLoss')[]) => () => {
    const epochs = store()?.epochs;
    const rows = epochs?.epoch.map((_, i): Cell[] => names.map((name) => epochs[name][i])) ?? [];
    return [[...names], ...rows];
  };
  const panels: Record<string, { of: string } & Omit<Savable, 'name'>> = {
    clusters: { of: 'the sample points', png: canvasOf('scatter-box'), csv: points },
    table: { of: 'the table of clusters', csv: () => tableTexts(byId<HTMLTableElement>('table')) },
    tree: { of: 'the tree of clusters', png: svgOf('tree-scroll') },
    k: { of: 'K over epochs', png: svgOf('chart-k'), csv: columns(['epoch', 'time', 'k']) },
    losses: {
      of: 'the losses',
      png: svgOf('chart-losses'),
      csv: columns(['epoch', 'time', 'loss', 'subLoss']),
    },
  };
  for (const [name, { of, ...savable }] of Object.entries(panels)) {
    const head = document.querySelector(`.panel.${name} > .head`)!;
    head.append(saveButtons(of, { name: () => fileName(name), ...savable }));
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
