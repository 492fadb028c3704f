import type { SavedTree } from '../../data/saved/saved-clusters.ts';
import type { Group } from '../../model/hierarchy/dendrogram.ts';
import { counted } from '../../view/counted.ts';
import { groupName, numberedBranches, type Place, treeLayout } from '../../view/dendrogram.ts';
import { heightScale } from '../../view/scales.ts';
import { bottomAxis, shortNumber } from '../axes.ts';
import { markerPath, markerStyle } from '../markers.ts';
import { curve, num, picture, text, WIDTH } from '../svg.ts';

const LEFT = 30;
const TOP = 14;
/** Width of the clusters, and of groups of them, beside the joins. */
const [CLUSTERS, GROUPS] = [112, 166];

/** The tree of merges of at least two clusters, its root on the left. The larger branch of each join is above the other. */
export function dendrogramPicture(tree: SavedTree): string {
  const { clusters: k, joins, likelihood } = tree;
  const layout = treeLayout(tree);
  const { leaves, branches } = layout;
  const step = leaves.length > 30 ? 16 : 20;
  const right = WIDTH - (leaves.length < k ? GROUPS : CLUSTERS);
  const box = { left: LEFT, right, top: TOP, bottom: TOP + step * leaves.length + 6 };
  const rises = likelihood === 'gaussian';
  const scale = heightScale(
    branches.map(({ at }) => at.height),
    rises ? [box.right - 12, box.left] : [box.left, box.right - 12],
  );
  const x = ({ height }: Place) => (height === null ? box.right : scale(height));
  const y = (place: Pick<Place, 'y'>) => box.top + step * place.y;
  const lines = branches.map(({ at, ends: [a, b] }) =>
    [`M${num(x(a))} ${num(y(a))}H${num(x(at))}`, `V${num(y(b))}H${num(x(b))}`].join(''),
  );
  const numbers = numberedBranches(layout).map(({ at, left }) =>
    text(x(at) - 4, y(at) - 3, String(left), { anchor: 'end', tone: 'mute', size: 11, halo: true }),
  );
  return picture(
    {
      id: 'dendrogram',
      height: box.bottom + 50,
      title: 'Tree of merges',
      description: `How ${counted(k, 'cluster')} join, step by step, until one is left${leaves.length < k ? `; the last ${branches.length} of ${joins.length} joins` : ''}.`,
    },
    bottomAxis(scale, box, { count: 5, title: rises ? 'nats a row' : 'resolution γ' }),
    curve(lines.join(''), undefined, 1.3),
    ...numbers,
    ...leaves.map((group, i) => label(group, box.right, y({ y: i + 0.5 }))),
  );
}

function label(group: Group, x: number, y: number): string {
  const { colour, shape } = markerStyle(group.from[0]);
  const { rows } = group;
  return [
    `<path d="M${num(x + 10)} ${num(y)}${markerPath(shape, 4.5)}" fill="${colour}"/>`,
    text(x + 20, y + 4, groupName(group), { bold: true, size: 11.5 }),
    text(WIDTH - 8, y + 4, rows < 1e7 ? rows.toLocaleString('en') : shortNumber(rows), {
      anchor: 'end',
      size: 11.5,
    }),
  ].join('');
}
