import {
  type ClusterDetails,
  type NamedRow,
  type RowContent,
  type RowContents,
  wordsText,
} from '../view/cluster-details.ts';
import { counted } from '../view/counted.ts';

/** What is known of a cluster, or of one row, as elements: for the live page and the report. */

export interface DetailsInput {
  cluster: number;
  rows: number | null;
  share: number | null;
  /** The nearest clusters. */
  nearest: string;
  /** As `clusters.json` has them; null without. */
  details: ClusterDetails | null;
  /** Rows of a sample that are in it, for want of details. */
  sampled: readonly number[];
  /** A row that was clicked. */
  row: number | null;
}

const MOST_ROWS = 10;

/** All rows that the details show, in order, without repetitions. */
export function shownRows({ details, sampled, row }: DetailsInput): number[] {
  const known = details ? [...details.exemplars, ...details.border] : sampled.slice(0, MOST_ROWS);
  const rows = known.map((one) => (typeof one === 'number' ? one : one.row));
  return [...new Set([...(row === null ? [] : [row]), ...rows])];
}

/** `contents`: of the rows shown, as far as they are known. */
export function detailElements(input: DetailsInput, contents: RowContents | null): HTMLElement[] {
  const { cluster, rows, share, nearest, details, sampled, row } = input;
  const byRow = new Map(contents?.rows.map((one) => [one.row, one]));
  const list = (title: string, items: readonly NamedRow[]) =>
    items.length ? [heading(title), rowList(items, byRow)] : [];
  const about = [
    ...(rows === null ? [] : [counted(Math.round(rows), 'row')]),
    ...(share === null ? [] : [`${(100 * share).toFixed(1)} %`]),
    ...(nearest ? [`nearest, by separation: ${nearest}`] : []),
  ];
  return [
    paragraph(`Cluster ${cluster}${about.length ? `: ${about.join('; ')}` : ''}`),
    ...(row === null
      ? []
      : [heading('The row at this point'), oneRow({ row, ...byRow.get(row) }, contents?.names ?? null)]),
    ...(details?.words.length ? [heading('Words'), paragraph(wordsText(details))] : []),
    ...(details?.texts.length ? [heading('Typical texts'), textList(details.texts)] : []),
    ...(details
      ? [...list('Typical rows', details.exemplars), ...list('Border rows', details.border)]
      : list(
          'Some of its rows',
          sampled.slice(0, MOST_ROWS).map((one) => ({ row: one })),
        )),
    ...(details?.apart.length ? [heading('Columns that set it apart'), apartList(details)] : []),
  ];
}

const element = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...content: (string | Node)[]
) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
};
const heading = (text: string) => element('h3', '', text);
const paragraph = (text: string) => element('p', '', text);

function rowList(items: readonly NamedRow[], contents: ReadonlyMap<number, RowContent>): HTMLElement {
  return element(
    'ul',
    'row-list',
    ...items.map(({ row, id }) => {
      const content = contents.get(row);
      const name = nameOf({ row, id: id ?? content?.id });
      return element(
        'li',
        '',
        ...(content?.image ? [rowImage(content.image, name)] : []),
        element('span', '', name),
      );
    }),
  );
}

const nameOf = ({ row, id }: NamedRow) =>
  `row ${row.toLocaleString('en')}${id === undefined ? '' : ` · ${id}`}`;

/** A small image of a row, without smoothing. */
export function rowImage(source: string, name: string): HTMLImageElement {
  const made = element('img', 'row-image');
  made.src = source;
  made.alt = `Image of ${name}`;
  return made;
}

/** Values that are shown of one row. */
const MOST_VALUES = 12;

function oneRow(content: RowContent, names: readonly string[] | null): HTMLElement {
  const values = (content.values ?? []).slice(0, MOST_VALUES).map((value, i) => {
    const text = Number(value.toPrecision(4)).toString().replace('-', '−');
    return names?.[i] === undefined ? text : `${names[i]} ${text}`;
  });
  const more = (content.values?.length ?? 0) > MOST_VALUES ? ', …' : '';
  const name = nameOf(content);
  return element(
    'p',
    'one-row',
    ...(content.image ? [rowImage(content.image, name)] : []),
    element('strong', '', name),
    ...(values.length ? [`: ${values.join(', ')}${more}`] : []),
  );
}

const textList = (texts: readonly string[]) =>
  element('ul', 'text-list', ...texts.map((text) => element('li', '', text)));

const apartList = ({ apart }: ClusterDetails) =>
  element(
    'ul',
    'row-list',
    ...apart.map(({ name, difference }) =>
      element('li', '', `${name} ${difference < 0 ? '−' : '+'}${Math.abs(difference).toPrecision(3)} sd`),
    ),
  );
