import assert from 'node:assert/strict';
import test from 'node:test';
import { COLOURS, colourOf, hexOf, mix, type Rgb, rgbOf } from '../../../page/drawing/svg.ts';

type Vector = readonly number[];

/** Normal vision, and without one of the three cones (Machado, Oliveira & Fernandes 2009), in linear RGB. */
const VISIONS = {
  all: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protan: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deutan: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritan: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};
/** Backgrounds of the page and the report, light and dark. */
const BACKGROUNDS = ['#ffffff', '#181b20', '#16181d'].map(rgbOf);

const times = (matrix: Vector, [a, b, c]: Vector) =>
  [0, 3, 6].map((row) => matrix[row] * a + matrix[row + 1] * b + matrix[row + 2] * c);
const linear = (rgb: Rgb) =>
  rgb.map((value) => (value <= 10.31475 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4));

/** Ottosson's OKLab. */
function oklab(rgb: Vector): number[] {
  const cones = times(
    [
      0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619,
      0.2817188376, 0.6299787005,
    ],
    rgb.map((value) => Math.min(1, Math.max(0, value))),
  ).map(Math.cbrt);
  return times(
    [
      0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099, 0.0259040371,
      0.7827717662, -0.808675766,
    ],
    cones,
  );
}

const seen = (rgb: Rgb) => Object.values(VISIONS).map((matrix) => oklab(times(matrix, linear(rgb))));
const distance = (a: Vector, b: Vector) => Math.hypot(...a.map((value, i) => value - b[i]));
/** The smallest over all kinds of vision. */
const difference = (a: Vector[], b: Vector[]) => Math.min(...a.map((value, i) => distance(value, b[i])));

/** WCAG's contrast of two colours, 1 … 21. */
function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [a, b].map(
    (rgb) => linear(rgb).reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0) + 0.05,
  );
  return Math.max(x, y) / Math.min(x, y);
}

function* pairs<T>(all: readonly T[]): Generator<[T, T]> {
  for (const [i, a] of all.entries()) for (const b of all.slice(0, i)) yield [a, b];
}

test('all colours are distinct, the first ten more so, for the colour-blind too; beyond fifty they repeat', () => {
  assert.equal(COLOURS.length, 50);
  for (const [first, least] of [
    [10, 0.115],
    [50, 0.03],
  ])
    for (const [a, b] of pairs(COLOURS.slice(0, first))) {
      const apart = difference(seen(rgbOf(a)), seen(rgbOf(b)));
      assert.ok(apart > least, `${a} and ${b}: ${apart.toFixed(3)}`);
    }
  assert.equal(colourOf(50), COLOURS[0]);
});

test('colours have enough contrast on light and dark backgrounds', () => {
  for (const colour of COLOURS)
    for (const background of BACKGROUNDS) {
      const value = contrast(rgbOf(colour), background);
      assert.ok(value > 1.7, `${colour} on ${hexOf(background)}: ${value.toFixed(2)}`);
    }
});

test('mixtures', () => {
  assert.deepEqual(mix([0, 100, 200], [100, 0, 200], 0.25), [25, 75, 200]);
  assert.deepEqual(hexOf([0, 100, 200]), '#0064c8');
  assert.deepEqual(rgbOf('#0064c8'), [0, 100, 200]);
});
