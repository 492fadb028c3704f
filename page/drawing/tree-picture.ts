import type { MergeTree } from './api.ts';
import { bottomAxis, heightScale, type Scale } from './axes.ts';
import { groupName, labelIn, shownJoins, type TreeLayout, type TreePlace, treeLayout } from './dendrogram.ts';
import { colourOf, markerPath, markerStyle } from './palette.ts';
import { type Box, curve, num, picture, text, textWidth, WIDTH } from './svg.ts';
import { compactCount, counted } from './text.ts';

const LEFT = 30;
const TOP = 14;
const RIGHT = 8;
/** From the joins to the names, and from these to the rows. */
const GAPS = [22, 14] as const;
/** The joins are at least this wide: the rest can be scrolled to. */
const LEAST_WIDTH = 120;

/** Joins, from the root, that say how many clusters they leave. */
const MOST_NUMBERED = 12;

/** How the page shows it: cut where `left` clusters are left, in these colours of clusters. */
export interface TreeCut {
  left: number;
  colours: readonly number[];
  width: number;
}

/** Characters of a name: the joins are to have some room. */
const MOST_CHARACTERS = 32;

/**
 * The tree of merges of at least two clusters, its root on the left. The larger branch of each join is above the other. `called`: what clusters
 * and joins are called, by their nodes; empty where that is not known.
 */
export function treePicture(
  tree: MergeTree,
  cut: TreeCut | null = null,
  called: (node: number) => string = () => '',
): string {
  const layout = treeLayout(tree);
  const { leaves, nodes, branches } = layout;
  const names = leaves.map((leaf, i) => {
    const name = [...called(nodes[i])];
    const short = name.length > MOST_CHARACTERS ? [...name.slice(0, MOST_CHARACTERS - 1), '…'] : name;
    return `${groupName(leaf, tree)} ${short.join('')}`.trimEnd();
  });
  const rows = leaves.map((leaf) => compactCount(leaf.rows));
  const labels = GAPS[0] + widest(names) + GAPS[1] + widest(rows) + RIGHT;
  const width = Math.max(cut?.width ?? WIDTH, Math.ceil(LEFT + LEAST_WIDTH + labels));
  const step = leaves.length > 30 ? 16 : 20;
  const box = { left: LEFT, right: width - labels, top: TOP, bottom: TOP + step * leaves.length + 6 };
  const isGraph = tree.likelihood === 'graph';
  const scale = heightScale(
    branches.map(({ at }) => at.height),
    isGraph ? [box.left, box.right - 12] : [box.right - 12, box.left],
  );
  const x = ({ height }: TreePlace) => (height === null ? box.right : scale(height));
  const y = (place: Pick<TreePlace, 'y'>) => box.top + step * place.y;
  const colour = (cluster: number) => colourOf(cut?.colours[cluster] ?? labelIn(tree, cluster));
  const lines = branches.map(({ at, ends: [a, b], left }) => {
    const d = `M${num(x(a))} ${num(y(a))}H${num(x(at))}V${num(y(b))}H${num(x(b))}`;
    // Joins that the cut has made are in the colour of their group.
    return cut && left >= cut.left ? curve(d, colour(at.first), 2.5) : curve(d, undefined, 1.3);
  });
  const numbered = branches.filter(({ left }) => left <= MOST_NUMBERED);
  const numbers = numbered.map(({ at, left }) =>
    text(x(at) - 4, y(at) - 3, String(left), { anchor: 'end', tone: 'mute', size: 11, halo: true }),
  );
  const ends = leaves.flatMap(({ from: [first] }, i) => {
    const middle = y({ y: i + 0.5 });
    return [
      `<path d="M${num(box.right + 10)} ${num(middle)}${markerPath(markerStyle(labelIn(tree, first)).shape, 4.5)}" fill="${colour(first)}"/>`,
      text(box.right + GAPS[0], middle + 4, names[i], { bold: true, size: 11.5 }),
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
      description: `How ${counted(tree.sizes.length, 'cluster')} join, step by step, until one is left${shown && `; ${shown}`}.`,
    },
    bottomAxis(scale, box, {
      count: Math.max(2, Math.floor((box.right - box.left) / 110)),
      title: isGraph ? 'resolution γ' : 'nats a row',
    }),
    ...lines,
    cut ? cutLine(tree, layout, cut.left, scale, box) : '',
    ...numbers,
    ...ends,
  );
}

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
