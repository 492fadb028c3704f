import type { SavedTree } from '../../data/saved/saved-tree.ts';
import { type Group, groupsAt, nodeSizes } from '../../model/dendrogram.ts';
import { bottomAxis, lossScale, shortNumber } from '../axes.ts';
import { markerPath, markerStyle } from '../markers.ts';
import { curve, num, picture, text, WIDTH } from '../svg.ts';

/** Of more clusters, those below the upper joins are shown as groups. */
const MOST_LEAVES = 60;
/** Joins, from the root, that say how many clusters they leave. */
const MOST_NUMBERED = 12;
const LEFT = 30;
const TOP = 14;
/** Width of the clusters, and of groups of them, beside the joins. */
const [CLUSTERS, GROUPS] = [112, 166];

/** A cluster, a group of clusters, or a join, in the picture. */
interface Place {
  x: number;
  y: number;
}

/** The tree of merges of at least two clusters, its root on the left. The larger branch of each join is above the other. */
export function dendrogramPicture(tree: SavedTree): string {
  const { clusters: k, joins, likelihood } = tree;
  const groups = groupsAt(tree, Math.min(k, MOST_LEAVES));
  const own = joins.slice(k - groups.size);
  const step = groups.size > 30 ? 16 : 20;
  const right = WIDTH - (groups.size < k ? GROUPS : CLUSTERS);
  const box = { left: LEFT, right, top: TOP, bottom: TOP + step * groups.size + 6 };
  const rises = likelihood === 'gaussian';
  const least = Math.min(...own.map(({ height }) => height).filter((height) => height > 0), Infinity);
  const shown = ({ height }: { height: number }) => (least < Infinity ? Math.max(height, least) : 0);
  const x = lossScale(own.map(shown), rises ? [box.right - 12, box.left] : [box.left, box.right - 12]);

  const sizes = nodeSizes(tree);
  const places = new Map<number, Place>();
  const order = leavesOf(tree, sizes, groups);
  order.forEach((node, i) => {
    places.set(node, { x: box.right, y: box.top + step * (i + 0.5) });
  });
  const branches = own.map((join, i) => {
    const [a, b] = [join.a, join.b].map((node) => places.get(node)!);
    const at = { x: x(shown(join)), y: (a.y + b.y) / 2 };
    places.set(2 * k - groups.size + i, at);
    const left = own.length - i;
    const number = text(at.x - 4, at.y - 3, String(left), {
      anchor: 'end',
      tone: 'mute',
      size: 11,
      halo: true,
    });
    return {
      line: `M${num(a.x)} ${num(a.y)}H${num(at.x)}V${num(b.y)}H${num(b.x)}`,
      number: left <= MOST_NUMBERED ? number : '',
    };
  });
  return picture(
    {
      id: 'dendrogram',
      height: box.bottom + 50,
      title: 'Tree of merges',
      description: `How ${k} clusters join, step by step, until one is left${groups.size < k ? `; the last ${own.length} of ${joins.length} joins` : ''}.`,
    },
    bottomAxis(x, box, { count: 5, title: rises ? 'nats a row' : 'resolution γ' }),
    curve(branches.map(({ line }) => line).join(''), undefined, 1.3),
    ...branches.map(({ number }) => number),
    ...order.map((node) => label(groups.get(node)!, places.get(node)!)),
  );
}

/** The nodes of the groups, from top to bottom. */
function leavesOf(
  { clusters: k, joins }: SavedTree,
  sizes: number[],
  groups: ReadonlyMap<number, Group>,
): number[] {
  const leaves: number[] = [];
  const stack = [k + joins.length - 1];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (groups.has(node)) leaves.push(node);
    else {
      const { a, b } = joins[node - k];
      stack.push(...(sizes[a] < sizes[b] ? [a, b] : [b, a]));
    }
  }
  return leaves;
}

function label({ from, rows }: Group, { x, y }: Place): string {
  const [first] = from;
  const { colour, shape } = markerStyle(first);
  const more = from.length > 2 ? ', …' : '';
  const name = from.length > 1 ? `${from.slice(0, 2).join(', ')}${more} (${from.length})` : String(first);
  return [
    `<path d="M${num(x + 10)} ${num(y)}${markerPath(shape, 4.5)}" fill="${colour}"/>`,
    text(x + 20, y + 4, name, { bold: true, size: 11.5 }),
    text(WIDTH - 8, y + 4, rows < 1e7 ? rows.toLocaleString('en') : shortNumber(rows), {
      anchor: 'end',
      size: 11.5,
    }),
  ].join('');
}
