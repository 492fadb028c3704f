import { numberName } from '../../../model/description/names.ts';
import type { Dendrogram } from '../../../model/hierarchy/dendrogram.ts';
import type { MapIndex } from '../../../model/map-tiles.ts';
import type { Described } from '../cluster-details.ts';
import { type MapName, mapNames } from './map-labels.ts';

/** The map of all rows of a finished run, as the page has it: `GET /api/map`. */
export interface WholeMap {
  index: MapIndex;
  names: MapName[];
  /** The label of each cluster, and what it is called, if only by its label. */
  clusters: { label: number; name: string }[];
}

/** What the server knows of the rows on the map beside that: `GET /api/map/data`. */
export interface MapData {
  /** Can words be looked for in them? */
  hasTexts: boolean;
  /** The names of the columns by which it can be coloured. */
  columns: string[];
}

/** `GET /api/map/search?words=…`: the first rows with these words, as `FOUND` of model/map-tiles.ts, in base64. */
export interface FoundRows {
  /** There are no more of them. */
  isAll: boolean;
  rows: string;
}

/** `GET /api/map/telling?rows=…`: what sets rows apart from all others. */
export interface SelectionTelling {
  /** Words of their texts, the most telling first; null: they have none. */
  words: string[] | null;
  /** Such as `high income, low age`; null: none. */
  columns: string | null;
}

/** Rows that stand for a selection. */
export const MOST_SELECTED = 2000;
const BASE = 36;

/** Ascending numbers of rows, short enough for an address: each by how much it is more than the one before. */
export const selectedText = (rows: readonly number[]): string =>
  rows.map((row, i) => (row - (rows[i - 1] ?? 0)).toString(BASE)).join('.');

/** The rows in such a text; null: it is none of rows below `all`, or has too many. */
export function selectedRows(text: unknown, all: number): number[] | null {
  if (typeof text !== 'string' || !/^[\da-z]{1,7}(\.[\da-z]{1,7})*$/.test(text)) return null;
  let last = 0;
  const rows = text.split('.').map((gap) => (last += Number.parseInt(gap, BASE)));
  const areAscending = rows.every((row, i) => i === 0 || row > rows[i - 1]);
  return rows.length <= MOST_SELECTED && areAscending && last < all ? rows : null;
}

/** The map in a file: a sample of the rows as one tile (`RECORD` of model/map-tiles.ts), and the density, in base64. */
export interface PackedMap extends WholeMap {
  sample: string;
  density: string;
}

/** What a report has of the map. */
export interface SampledMap {
  about: WholeMap;
  sample: Uint8Array;
  density: Uint8Array;
}

/** `ids`: labels of clusters where these are not their numbers. */
export function aboutMap(
  index: MapIndex,
  tree: Dendrogram | null,
  described: Described | null,
  ids?: readonly number[],
): WholeMap {
  const clusters = index.places.map((_, cluster) => {
    const label = ids?.[cluster] ?? cluster;
    return { label, name: described?.clusters[cluster]?.name ?? numberName(label) };
  });
  const joins = new Map(described?.joins?.map(({ join, name }) => [join, name]));
  const nameOf = (node: number) => clusters[node]?.name ?? joins.get(node) ?? null;
  return { index, clusters, names: mapNames(index.places, tree, nameOf) };
}

/** What a cluster is called beside its label; empty where that is all. */
export const nameBeside = ({ label, name }: WholeMap['clusters'][number]): string =>
  name === numberName(label) ? '' : name;

/** The sample as the only tile: in a file, and of a server that ends before all tiles can be asked for. */
export function ofSample(about: WholeMap): WholeMap {
  const { index } = about;
  const whole = { level: 0, column: 0, row: 0, from: 0, below: 1, count: index.sample };
  return { ...about, index: { ...index, tiles: [whole] } };
}

export function packedMap({ about, sample, density }: SampledMap): PackedMap {
  const base64 = (bytes: Uint8Array) => {
    let text = '';
    for (let at = 0; at < bytes.length; at += 1 << 15)
      text += String.fromCharCode(...bytes.subarray(at, at + (1 << 15)));
    return btoa(text);
  };
  return { ...ofSample(about), sample: base64(sample), density: base64(density) };
}
