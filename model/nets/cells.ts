import { concat } from '../arrays.ts';
import { dot, minus, unwhitened, whitened, whitener } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import type { Net } from './net.ts';

/**
 * Output units whose clusters a net gets without training, as it is exact outside of them: the unit's logit is that of another unit, and
 * more within a cell, an intersection of half-spaces. Each half-space needs one hidden unit, which is 0 within it.
 */

/** A row y is within the half-space where weights·y + bias ≤ 0; otherwise that is by how much it is outside. */
export interface HalfSpace {
  readonly weights: Float64Array;
  readonly bias: number;
}

export interface Cell {
  /** The unit whose logit is copied. */
  readonly from: number;
  /** What is added to it within the cell. */
  readonly gain: number;
  readonly sides: readonly HalfSpace[];
}

/** The net with an output unit more for each cell; outside of it, its logit falls by `gain` with each unit of distance. */
export function withCells(net: Net, cells: readonly Cell[]): Net {
  const sides = cells.flatMap((cell) => cell.sides);
  const last = net.shapes.length / 2 - 1;
  const owners = cells.flatMap((cell, c) => cell.sides.map(() => c));
  const widths = (layer: number) => net.shapes[2 * layer] as readonly [number, number];
  /** The kernel and bias of a layer with more columns and rows; `own` are the new columns, for each row of the layer. */
  const grown = (layer: number) => {
    const [rows, columns] = widths(layer);
    const [kernel, bias] = [net.params[2 * layer], net.params[2 * layer + 1]];
    const moreRows = layer > 0 ? sides.length : 0;
    const moreColumns = layer < last ? sides.length : cells.length;
    const out = (values: (row: number, column: number) => number, from: Float32Array) =>
      concat(
        Array.from({ length: rows + moreRows }, (_, row) => {
          const line = new Float32Array(columns + moreColumns);
          if (row < rows) line.set(from.subarray(row * columns, (row + 1) * columns));
          for (let column = row < rows ? columns : 0; column < line.length; column++)
            line[column] = values(row, column - columns);
          return line;
        }),
        Float32Array,
      );
    // Rows of new hidden units come after the others, and so do columns.
    const value = (row: number, column: number): number => {
      if (column < 0) return 0;
      if (layer === last) {
        if (row < rows) return kernel[row * columns + cells[column].from];
        return owners[row - rows] === column ? -cells[column].gain : 0;
      }
      if (layer === 0) return sides[column].weights[row];
      // What is at least 0 passes through the other hidden layers.
      return row - rows === column ? 1 : 0;
    };
    const added =
      layer === last
        ? cells.map(({ from, gain }) => bias[from] + gain)
        : sides.map((side) => (layer === 0 ? side.bias : 0));
    return {
      shapes: [[rows + moreRows, columns + moreColumns], [columns + moreColumns]],
      params: [out(value, kernel), Float32Array.of(...bias, ...added)],
      moments: (values: readonly Float32Array[]) => [
        out(() => 0, values[2 * layer]),
        Float32Array.of(...values[2 * layer + 1], ...added.map(() => 0)),
      ],
    };
  };
  const layers = Array.from({ length: last + 1 }, (_, layer) => grown(layer));
  return {
    shapes: layers.flatMap(({ shapes }) => shapes),
    params: layers.flatMap(({ params }) => params),
    first: layers.flatMap(({ moments }) => moments(net.first)),
    second: layers.flatMap(({ moments }) => moments(net.second)),
    steps: net.steps,
  };
}

/** A cluster that is so many standard deviations beyond a side of the cell is cut off by it. */
const CUT_OFF = 5;

/**
 * The cell of one cluster of a mixture: of the others, the nearest first, each that no side cuts off yet gets one, across the axis that
 * discriminates the two (Fisher), where both have the same density. Distances from a side are in standard deviations of the other
 * cluster, and the cell is smaller by one of these, so that a logit that has fallen by `gain` is at the border.
 *
 * @param scale net inputs are rows of the mixture, divided by this
 */
export function cellAround(mixture: Mixture, own: number, scale: Float64Array): HalfSpace[] {
  const { k, d, covariance, means, covariances, weights } = mixture;
  const spread = (axis: Float64Array, c: number) => Math.sqrt(quadratic(covariances[c], axis));
  const axes = Array.from({ length: k }, (_, other) => {
    const both = covariances[own].map((value, p) => value + covariances[other][p]);
    const inverse = whitener(both, d, covariance);
    const axis = unwhitened(inverse, whitened(inverse, minus(means[own], means[other])));
    const [near, far] = [spread(axis, other), spread(axis, own)];
    return { other, axis, near, far, apart: dot(axis, minus(means[own], means[other])) / (near + far) };
  });
  axes.sort((a, b) => a.apart - b.apart || a.other - b.other);
  const sides: { axis: Float64Array; at: number }[] = [];
  const out: HalfSpace[] = [];
  for (const { other, axis, near, far } of axes) {
    if (other === own || weights[other] === 0) continue;
    if (sides.some((side) => dot(side.axis, means[other]) + CUT_OFF * spread(side.axis, other) < side.at))
      continue;
    const [low, high] = [dot(axis, means[other]), dot(axis, means[own])];
    const at = crossing(low, near, weights[other], high, far, weights[own]);
    sides.push({ axis, at });
    out.push({ weights: axis.map((value, i) => (-value * scale[i]) / near), bias: at / near + 1 });
  }
  return out;
}

const HALVINGS = 60;

/** Where between two means the densities of two normal distributions, times their weights, are equal: the nearest end if nowhere. */
function crossing(
  low: number,
  sdLow: number,
  weightLow: number,
  high: number,
  sdHigh: number,
  weightHigh: number,
) {
  const density = (x: number, mean: number, sd: number, weight: number) =>
    Math.log(weight / sd) - ((x - mean) / sd) ** 2 / 2;
  let [from, to] = [low, high];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (from + to) / 2;
    if (density(middle, low, sdLow, weightLow) > density(middle, high, sdHigh, weightHigh)) from = middle;
    else to = middle;
  }
  return (from + to) / 2;
}

/** aᵀΣa of a matrix, or of one given as its diagonal. */
function quadratic(matrix: Float64Array, a: Float64Array): number {
  const d = a.length;
  if (matrix.length === d) return a.reduce((sum, value, i) => sum + value * value * matrix[i], 0);
  return a.reduce((sum, value, i) => sum + value * dot(matrix.subarray(i * d, (i + 1) * d), a), 0);
}
