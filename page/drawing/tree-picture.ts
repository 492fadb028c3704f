import { counted } from '../../base/quantities.ts';
import { cutAt, type Dendrogram, type Group, groupsAt, nodeSizes } from '../../model/hierarchy/dendrogram.ts';
import type { MergeTree } from './api.ts';
import { bottomAxis, heightScale, type Scale } from './charts.ts';
import type { Cluster } from './model-view.ts';
import {
  type Box,
  COLOURS,
  colourOf,
  curve,
  DASHES,
  markerPath,
  markerStyle,
  num,
  picture,
  text,
  textWidth,
  WIDTH,
} from './svg.ts';
import { compactCount, count, threeDigits } from './text.ts';

/** The tree of merges as it is drawn, its root on the left, the clusters on the right, beside these the joins of their components; its cuts, and the splits below it. */

/** Of more clusters, those below the upper joins are shown as groups. */
const MOST_LEAVES = 60;

/** Where a cluster, a group of clusters, or a join is in the picture. */
interface TreePlace {
  /** Along the joins; null at their right end. */
  readonly height: number | null;
  /** In leaves from the top: 0.5 is the middle of the first. */
  readonly y: number;
  /** Its lowest cluster. */
  readonly first: number;
}

/** A join that is shown. */
interface Branch {
  readonly at: TreePlace & { readonly height: number };
  readonly ends: readonly [TreePlace, TreePlace];
  /** How many clusters are left once it is made. */
  readonly left: number;
}

interface TreeLayout {
  /** Clusters, or groups of them, from top to bottom. */
  readonly leaves: readonly Group[];
  /** The nodes of the tree that they are. */
  readonly nodes: readonly number[];
  /** The middle of each, and the height of all, in leaves from the top. */
  readonly middles: readonly number[];
  readonly height: number;
  /** The last joins, in their order. */
  readonly branches: readonly Branch[];
}

/** Places of the last 59 joins at most, and of what they join. The larger branch of each is above the other. `room`: what a node takes, in leaves. */
export function treeLayout(tree: Dendrogram, room: (node: number) => number = () => 1): TreeLayout {
  const { sizes, joins } = tree;
  const k = sizes.length;
  const groups = groupsAt(tree, Math.min(k, MOST_LEAVES));
  const shown = joins.slice(k - groups.size);
  const nodes = leavesOf(tree, groups);
  let height = 0;
  const middles = nodes.map((node) => {
    height += room(node);
    return height - room(node) / 2;
  });
  const places = new Map<number, TreePlace>(
    nodes.map((node, i) => [node, { height: null, y: middles[i], first: groups.get(node)!.from[0] }]),
  );
  const branches = shown.map(({ a, b, height }, i): Branch => {
    const ends = [places.get(a)!, places.get(b)!] as const;
    const [y, first] = [(ends[0].y + ends[1].y) / 2, Math.min(ends[0].first, ends[1].first)];
    const at = { height, y, first };
    places.set(2 * k - groups.size + i, at);
    return { at, ends, left: shown.length - i };
  });
  return { leaves: nodes.map((node) => groups.get(node)!), nodes, middles, height, branches };
}

/** The nodes of the groups, from top to bottom. */
function leavesOf(tree: Dendrogram, groups: ReadonlyMap<number, Group>): number[] {
  const k = tree.sizes.length;
  const sizes = nodeSizes(tree);
  const leaves: number[] = [];
  const stack = [sizes.length - 1];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (groups.has(node)) leaves.push(node);
    else {
      const { a, b } = tree.joins[node - k];
      stack.push(...(sizes[a] < sizes[b] ? [a, b] : [b, a]));
    }
  }
  return leaves;
}

/** The label of a cluster. */
const labelIn = ({ ids }: Pick<MergeTree, 'ids'>, cluster: number): number => ids?.[cluster] ?? cluster;

/** A group by the labels of its clusters: `3`; `3, 7 (2)`; `3, 7, … (5)`. */
export function groupName({ from }: Pick<Group, 'from'>, tree: Pick<MergeTree, 'ids'> = {}): string {
  const [first, ...others] = from.slice(0, 2).map((cluster) => labelIn(tree, cluster));
  if (!others.length) return String(first);
  return `${first}, ${others[0]}${from.length > 2 ? ', …' : ''} (${from.length})`;
}

/** Splits that the page names. */
const MOST_SPLITS = 3;

/** The clusters, each in the colour of the group that it is in where `left` are left. At K they are as they were. */
export function inCut(clusters: Cluster[], tree: MergeTree, left: number): Cluster[] {
  if (left === tree.sizes.length) return clusters;
  const cut = cutAt(tree, left);
  const colours = coloursOf(cut.groups, clusters);
  return clusters.map((cluster, c) => {
    // Those without rows are not in the tree.
    const group = cut.groups[cut.place[c]];
    const name = group?.from.length > 1 ? groupName(group, tree) : null;
    return group ? { ...cluster, colour: colours[cut.place[c]], group: name } : cluster;
  });
}

/**
 * A group keeps the colour of its lowest cluster from one cut to the next. Beyond fifty clusters two may have the same: the smaller
 * one gets a free colour, while there are any.
 */
function coloursOf(groups: readonly Group[], clusters: readonly Cluster[]): number[] {
  const taken = new Set<number>();
  return groups.map(({ from }) => {
    const own = clusters[from[0]].colour % COLOURS.length;
    const free = COLOURS.findIndex((_, colour) => !taken.has(colour));
    const colour = taken.has(own) && free >= 0 ? free : own;
    taken.add(colour);
    return colour;
  });
}

/** How many clusters are left, and which two would join next. */
export function cutText(tree: MergeTree, left: number): string {
  const clusters = counted(left, 'cluster');
  const join = tree.joins[tree.sizes.length - left];
  if (!join) return clusters;
  const groups = groupsAt(tree, left);
  const [a, b] = [join.a, join.b].map((node) => groupName(groups.get(node)!, tree));
  return `${clusters}; the next join is of ${a} and ${b} at ${heightText(tree, join.height)}`;
}

const heightText = ({ likelihood }: MergeTree, height: number): string =>
  likelihood === 'graph' ? `resolution γ ${threeDigits(height)}` : `${threeDigits(height)} nats a row`;

/** Which clusters of the run would split next; empty if that is not known. */
export function nextSplitText(tree: MergeTree): string {
  const splits = (tree.next ?? []).slice(0, MOST_SPLITS).map(({ cluster, sizes, height }) => {
    const parts = sizes.map(count).join(' and ');
    return `cluster ${labelIn(tree, cluster)} into about ${parts} rows (at ${heightText(tree, height)})`;
  });
  return splits.length ? `Next to split: ${splits.join('; then ')}.` : '';
}

/** Says which joins the picture has, if these are not all. */
function shownJoins(tree: Dendrogram): string {
  const { branches } = treeLayout(tree);
  const all = tree.joins.length;
  return branches.length < all ? `the last ${branches.length} of ${count(all)} joins` : '';
}

/** Why components are one cluster: what the heights of their joins do not say. */
const JOINED = 'joined as rows show no valleys between them';

/** Whether there is something to draw: joins of clusters, or of the components of a single one. */
export const hasJoins = ({ sizes, components }: MergeTree): boolean =>
  sizes.length > 1 || Boolean(components?.length);

/** What the picture means; empty without one. */
export function treeLegend(tree: MergeTree): string {
  if (!hasJoins(tree)) return '';
  if (tree.sizes.length === 1) return `Components of the cluster, ${JOINED}. Axis: ${tree.measure}.`;
  const shown = shownJoins(tree);
  return [
    'On the right, clusters and their rows; the numbers at the last joins are how many clusters each leaves.',
    ...(tree.components?.length
      ? [`Dashed, on an axis of their own: components of a cluster, ${JOINED}.`]
      : []),
    ...(shown ? [`Shown are ${shown}; in brackets, the clusters of a group.`] : []),
    `Axis: ${tree.measure}.`,
    'dpmesh cut writes the labels of fewer clusters.',
  ].join(' ');
}

const LEFT = 30;
const TOP = 14;
const RIGHT = 8;
/** From the joins to the names, and from these to the rows. */
const GAPS = [22, 14] as const;
/** The joins are at least this wide: the rest can be scrolled to. */
const LEAST_WIDTH = 120;

/** Between the marks of clusters and their names, where some have several components: how wide the joins of these are. */
const STRIP = 110;
/** The height of a component, in leaves: beside joins of clusters, and of a single cluster, where there is nothing else. */
const ROOM = [0.3, 0.6] as const;
/** From the mark to the last join of the components. */
const STEM = 8;

/** Joins, from the root, that say how many clusters they leave. */
const MOST_NUMBERED = 12;

/** How the page shows it: cut where `left` clusters are left, in these colours of clusters. */
interface TreeCut {
  left: number;
  colours: readonly number[];
  width: number;
}

/** Characters of a name: the joins are to have some room. */
const MOST_CHARACTERS = 32;

/**
 * The tree of merges, its root on the left, of at least two clusters, or of one of several components. The larger branch of each join is above
 * the other. `called`: what clusters and joins are called, by their nodes; empty where that is not known.
 */
export function treePicture(
  tree: MergeTree,
  cut: TreeCut | null = null,
  called: (node: number) => string = () => '',
): string {
  const inner = new Map(tree.components?.map((own) => [own.cluster, own]));
  const isOne = tree.sizes.length === 1;
  const room = (node: number) =>
    Math.max(1, ROOM[isOne ? 1 : 0] * Math.min(MOST_LEAVES, inner.get(node)?.sizes.length ?? 0));
  const layout = treeLayout(tree, room);
  const { leaves, nodes, middles, height, branches } = layout;
  const names = leaves.map((leaf, i) => {
    const name = [...called(nodes[i])];
    const short = name.length > MOST_CHARACTERS ? [...name.slice(0, MOST_CHARACTERS - 1), '…'] : name;
    return `${groupName(leaf, tree)} ${short.join('')}`.trimEnd();
  });
  const rows = leaves.map((leaf) => compactCount(leaf.rows));
  const strip = nodes.some((node) => inner.has(node)) ? STRIP : 0;
  const labels = GAPS[0] + widest(names) + GAPS[1] + widest(rows) + RIGHT;
  const width = Math.max(cut?.width ?? WIDTH, Math.ceil(LEFT + LEAST_WIDTH + strip + labels));
  const end = width - labels;
  const step = leaves.length > 30 ? 16 : 20;
  const right = isOne ? LEFT : end - strip;
  const box = { left: LEFT, right, top: TOP, bottom: TOP + step * height + 6 };
  const inside = { ...box, left: right + GAPS[0] - 4, right: end };
  const isGraph = tree.likelihood === 'graph';
  const scale = heightScale(
    branches.map(({ at }) => at.height),
    isGraph ? [box.left, box.right - 12] : [box.right - 12, box.left],
  );
  const x = ({ height }: TreePlace) => (height === null ? box.right : scale(height));
  const y = (place: Pick<TreePlace, 'y'>) => box.top + step * place.y;
  const colour = (cluster: number) => colourOf(cut?.colours[cluster] ?? labelIn(tree, cluster));
  const lines = branches.map((branch) => {
    const d = joinPath(branch, x, y);
    // Joins that the cut has made are in the colour of their group.
    return cut && branch.left >= cut.left ? curve(d, colour(branch.at.first), 2.5) : curve(d, undefined, 1.3);
  });
  const numbered = branches.filter(({ left }) => left <= MOST_NUMBERED);
  const numbers = numbered.map(({ at, left }) =>
    text(x(at) - 4, y(at) - 3, String(left), { anchor: 'end', tone: 'mute', size: 11, halo: true }),
  );
  const ends = leaves.flatMap(({ from: [first] }, i) => {
    const middle = y({ y: middles[i] });
    return [
      `<path d="M${num(box.right + 10)} ${num(middle)}${markerPath(markerStyle(labelIn(tree, first)).shape, 4.5)}" fill="${colour(first)}"/>`,
      text(end + GAPS[0], middle + 4, names[i], { bold: true, size: 11.5 }),
      text(width - RIGHT, middle + 4, rows[i], { anchor: 'end', size: 11.5 }),
    ];
  });
  const shown = shownJoins(tree);
  return picture(
    {
      id: 'dendrogram',
      width,
      height: box.bottom + 50,
      title: 'Tree of merges',
      description: `How ${isOne ? 'the components of a cluster' : counted(tree.sizes.length, 'cluster')} join, step by step, until one is left${shown && `; ${shown}`}.`,
    },
    isOne ? '' : bottomAxis(scale, box, { count: ticksIn(box), title: isGraph ? 'resolution γ' : UNIT }),
    ...lines,
    strip ? componentJoins(tree, layout, { step, room, colour, box: inside }) : '',
    cut && !isOne ? cutLine(tree, layout, cut.left, scale, box) : '',
    ...numbers,
    ...ends,
  );
}

/**
 * Beside clusters of several components, how these join: by the same measure, but on an axis of their own. One Gaussian may do for two clusters, as a ring and what
 * is within it, and not for one of them, so that within a cluster joins may be higher than above it.
 */
function componentJoins(
  { sizes, components = [], ids }: MergeTree,
  { nodes, middles }: TreeLayout,
  {
    step,
    room,
    colour,
    box,
  }: { step: number; room(node: number): number; colour(cluster: number): string; box: Box },
): string {
  const shown = components.filter(({ cluster }) => nodes.includes(cluster));
  const heights = shown.flatMap(({ joins }) => joins.map(({ height }) => height));
  const scale = heightScale(heights, [box.right, box.left + STEM]);
  const pictures = shown.map((own) => {
    const { leaves, branches } = treeLayout(own);
    const middle = box.top + step * middles[nodes.indexOf(own.cluster)];
    const x = ({ height }: TreePlace) => (height === null ? box.right : scale(height));
    const across = step * room(own.cluster);
    const y = (place: TreePlace) => middle + 0.8 * across * (place.y / leaves.length - 0.5);
    const { at: last } = branches.at(-1)!;
    const d = branches.map((branch) => joinPath(branch, x, y));
    const name = `Cluster ${labelIn({ ids }, own.cluster)}: ${counted(own.sizes.length, 'component')}, ${JOINED}`;
    const stem = `M${num(box.left)} ${num(middle)}V${num(y(last))}H${num(x(last))}`;
    const place = `x="${num(box.left)}" y="${num(middle - across / 2)}" width="${num(box.right - box.left)}" height="${num(across)}"`;
    return `<g class="components"><title>${name}</title><rect ${place} fill="none" pointer-events="all"/><path d="${d.join('')}${stem}" fill="none" stroke="${colour(own.cluster)}" stroke-width="1" stroke-dasharray="${DASHES.join(' ')}"/></g>`;
  });
  const axis =
    sizes.length === 1
      ? { count: ticksIn(box), title: UNIT }
      : { count: 2, areEnds: true, title: 'components' };
  return [bottomAxis(scale, box, axis), ...pictures].join('');
}

const UNIT = 'nats a row';
const ticksIn = ({ left, right }: Box) => Math.max(2, Math.floor((right - left) / 110));

/** From one of the two that join to the other. */
const joinPath = (
  { at, ends: [a, b] }: Branch,
  x: (place: TreePlace) => number,
  y: (place: TreePlace) => number,
) => `M${num(x(a))} ${num(y(a))}H${num(x(at))}V${num(y(b))}H${num(x(b))}`;

/** Between the last join that is made and the next one. */
function cutLine(tree: MergeTree, { branches }: TreeLayout, left: number, scale: Scale, box: Box): string {
  const { sizes, joins } = tree;
  const hidden = joins.length - branches.length;
  const xOf = (join: number) => {
    if (join < hidden) return box.right;
    return join < joins.length ? scale(branches[join - hidden].at.height) : box.left - 16;
  };
  const made = sizes.length - left;
  const x = num((xOf(made - 1) + xOf(made)) / 2);
  return `<path class="cut" d="M${x} ${box.top - 6}V${box.bottom + 4}" stroke="#0b62a8" stroke-width="1.5" stroke-dasharray="4 3"/>`;
}

const widest = (texts: readonly string[]) => Math.max(...texts.map((one) => textWidth(one, 11.5)));
