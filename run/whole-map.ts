import { numberName } from '../model/description/names.ts';
import { type Dendrogram, layersOf } from '../model/hierarchy/dendrogram.ts';
import type { MapIndex } from '../model/map-records.ts';
import type { Described } from './described.ts';

/** The map of all rows of a finished run: what is on it, and where names are. */

/** What a label says of which place. Coordinates are in units of the side of the map, y upwards. */
export interface MapName {
  /** A cluster by its number, or K + j of join j of the tree. */
  readonly node: number;
  readonly x: number;
  readonly y: number;
  readonly lines: readonly string[];
  /** 0: a cluster; the higher, the farther up in the tree. */
  readonly layer: number;
}

/** The map of all rows of a finished run, as the page has it: `GET /api/map`. */
export interface WholeMap {
  index: MapIndex;
  names: MapName[];
  /** The label of each cluster, and what it is called, if only by its label. */
  clusters: { label: number; name: string }[];
}

/** The first records of a map, which are all that this one has. */
export interface SampledMap {
  about: WholeMap;
  sample: Uint8Array;
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

/** Where a cluster is on the map: a row in its middle. */
export interface Anchor {
  readonly rows: number;
  readonly x: number;
  readonly y: number;
}

/** Most characters of a line, and lines of a label. */
const [LINE, MOST_LINES] = [22, 3];

/** So many clusters have room for their own names, which those of joins would cover. */
const FEW_CLUSTERS = 12;

/**
 * The labels of a map in the order of their importance: upper joins of the tree first, the larger first. Joins without a name have no label.
 *
 * @param anchors of each cluster; those without rows have none
 * @param nameOf the name of a node; null: none
 */
export function mapNames(
  anchors: readonly (Anchor | null)[],
  tree: Dendrogram | null,
  nameOf: (node: number) => string | null,
): MapName[] {
  const named = (node: number, layer: number, { rows, x, y }: Anchor) => {
    const name = nameOf(node);
    return name ? [{ node, layer, rows, x, y, lines: labelLines(name) }] : [];
  };
  const leaves = anchors.flatMap((anchor, cluster) => (anchor ? named(cluster, 0, anchor) : []));
  const groups = tree && anchors.length > FEW_CLUSTERS ? joinsOf(tree) : [];
  const joins = [...groups].flatMap(([node, { layer, from }]) => {
    const own = from.flatMap((cluster) => anchors[cluster] ?? []);
    const rows = own.reduce((sum, anchor) => sum + anchor.rows, 0);
    return own.length ? named(node, layer, { rows, x: median(own, 'x'), y: median(own, 'y') }) : [];
  });
  return [...leaves, ...joins]
    .sort((a, b) => b.layer - a.layer || b.rows - a.rows || a.node - b.node)
    .map(({ rows: _, ...name }) => name);
}

/** The joins in the layers above the clusters: the uppermost layer of each, and its clusters. */
function joinsOf(tree: Dendrogram): Map<number, { layer: number; from: readonly number[] }> {
  const joins = new Map<number, { layer: number; from: readonly number[] }>();
  for (const [layer, groups] of layersOf(tree).entries())
    for (const [node, { from }] of groups) if (node >= tree.sizes.length) joins.set(node, { layer, from });
  return joins;
}

/** The median of clusters' places, each as often as it has rows. */
function median(anchors: readonly Anchor[], axis: 'x' | 'y'): number {
  const inOrder = anchors.toSorted((a, b) => a[axis] - b[axis]);
  const half = anchors.reduce((sum, { rows }) => sum + rows, 0) / 2;
  let before = 0;
  return (inOrder.find(({ rows }) => (before += rows) >= half) ?? inOrder.at(-1)!)[axis];
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const clip = (text: string, most: number) => {
  const letters = Array.from(graphemes.segment(text.slice(0, 40 * most)), ({ segment }) => segment);
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : text;
};

/** A name in at most three lines of up to 22 characters. Control characters, and those that turn the direction, become spaces. */
export function labelLines(name: string): string[] {
  const words = name
    .slice(0, 1000)
    .replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu, ' ')
    .split(/\s+/)
    .filter(Boolean);
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= LINE)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  const shown = lines.slice(0, MOST_LINES).map((line) => clip(line, LINE));
  if (lines.length > MOST_LINES) shown[MOST_LINES - 1] = clip(`${shown[MOST_LINES - 1]} …`, LINE);
  return shown;
}
