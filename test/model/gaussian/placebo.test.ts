// Rows drawn from mixtures of which every component is a cluster: whatever is joined is wrong, in at most 1 % of the draws.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseByWeight } from '../../../model/gaussian/kmeans.ts';
import { minus } from '../../../model/linalg.ts';
import { randomNumbers } from '../../coordinator/fit/support.ts';
import { groupsOf, type Labelled } from './groups.ts';

type Random = ReturnType<typeof randomNumbers>;

/** A Gaussian with standard deviations along its axes, D orthonormal directions. */
interface Component {
  weight: number;
  mean: Float64Array;
  axes: Float64Array[];
  sd: number[];
}

const inner = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  Array.from(x).reduce((sum, value, i) => sum + value * y[i], 0);

/** D orthonormal directions, by Gram and Schmidt. */
function randomAxes({ normal }: Random, d: number): Float64Array[] {
  const axes: Float64Array[] = [];
  while (axes.length < d) {
    let own = Float64Array.from({ length: d }, normal);
    for (const axis of axes) {
      const along = inner(own, axis);
      own = own.map((value, i) => value - along * axis[i]);
    }
    axes.push(own.map((value) => value / Math.sqrt(inner(own, own))));
  }
  return axes;
}

/** The standard deviation of a component in a direction (of length 1). */
const spread = ({ axes, sd }: Component, direction: Float64Array) =>
  Math.hypot(...axes.map((axis, i) => sd[i] * inner(axis, direction)));

/** From one mean to the other in the mean of the two standard deviations on the line between them. */
function apart(a: Component, b: Component): number {
  const way = minus(b.mean, a.mean);
  const length = Math.sqrt(inner(way, way));
  const direction = way.map((value) => value / length);
  return (2 * length) / (spread(a, direction) + spread(b, direction));
}

/** So many standard deviations are between any two Gaussians, by `apart`: the least distance of the pairs that combining.test.ts has. */
const LEAST_APART = 2.2;

/** Three to eight Gaussians of unlike sizes and axes in two to five columns, of which some overlap. */
function heap(random: Random): Component[] {
  const [k, d] = [3 + random.below(6), 2 + random.below(4)];
  const components: Component[] = [];
  while (components.length < k) {
    const own = {
      weight: 1 / Math.sqrt(components.length + 1),
      mean: Float64Array.from({ length: d }, () => 2.5 * random.normal()),
      axes: randomAxes(random, d),
      sd: Array.from({ length: d }, () => Math.exp(0.4 * random.normal())),
    };
    if (components.every((other) => apart(own, other) >= LEAST_APART)) components.push(own);
  }
  return components;
}

/** Nine round Gaussians in a row: as long as a curve in pieces. */
const inRow = (distance: number, random: Random): Component[] =>
  Array.from({ length: 9 }, (_, c) => ({
    ...{ weight: 1, mean: Float64Array.of(distance * c, 0) },
    ...{ axes: randomAxes(random, 2), sd: [1, 1] },
  }));

/** n rows of a mixture, each with the component that it is drawn from. */
function drawn({ uniform, normal }: Random, components: Component[], n: number): Labelled {
  const weights = components.map(({ weight }) => weight);
  const labels = Array.from({ length: n }, () => chooseByWeight(weights, uniform()));
  const rows = labels.flatMap((label) => {
    const { mean, axes, sd } = components[label];
    const along = sd.map((one) => one * normal());
    return Array.from(mean, (value, j) => axes.reduce((sum, axis, i) => sum + along[i] * axis[j], value));
  });
  return { d: components[0].mean.length, rows: Float64Array.from(rows), labels };
}

const DRAWS = 100;
const mixtures: Record<string, (random: Random) => Component[]> = {
  'a heap': heap,
  'a row, 2.6 sd apart': (random) => inRow(2.6, random),
  'a row, 3.2 sd apart': (random) => inRow(3.2, random),
};

test('of the components of a mixture, at most 1 % of the draws join any', () => {
  const wrong = Object.entries(mixtures).flatMap(([what, mixture]) =>
    Array.from({ length: DRAWS }, (_, seed) => {
      const random = randomNumbers(7919 * seed + 3);
      const components = mixture(random);
      const groups = groupsOf(drawn(random, components, [400, 1000, 2000][seed % 3]));
      return new Set(groups).size < components.length ? [`${what}, seed ${seed}`] : [];
    }).flat(),
  );
  assert.ok(wrong.length <= 0.01 * DRAWS * Object.keys(mixtures).length, wrong.join('; '));
});
