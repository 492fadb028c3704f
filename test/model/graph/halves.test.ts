import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Halves, halfLinks, sweepHalves, withVolumes } from '../../../model/graph/halves.ts';
import { quality } from '../../../model/graph/louvain.ts';
import { degrees } from '../../../model/graph/weights.ts';
import { generator } from '../../../model/random.ts';
import { close } from '../support.ts';
import { matrixOf, randomGraph } from './support.ts';

const CLUSTERS = 3;

interface Case {
  halves: Halves;
  side: Float32Array;
}

/** A random graph, labels, and sides of which some are 0, ½ and 1. */
const cases = fc
  .tuple(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 2, max: 30 }), fc.integer({ min: 1, max: 3 }))
  .map(([seed, n, cuts]): Case => {
    const rng = generator(BigInt(seed), 'halves-test');
    const graph = randomGraph(seed, n, () => 0.4);
    const label = Int32Array.from({ length: n }, () => rng.below(CLUSTERS));
    const side = Float32Array.from({ length: n * cuts }, () =>
      rng.below(2) ? rng.below(3) / 2 : rng.uniform(),
    );
    return { halves: { graph, label, clusters: CLUSTERS, cuts }, side };
  });

const rowsOf = ({ label }: Halves) => label.length;

/** The weights between rows of the same cluster. */
const inner = ({ graph, label }: Halves) =>
  matrixOf(graph).map((row, i) => row.map((w, j) => (label[i] === label[j] ? w : 0)));

/** Σ_i d′_i·(1 − q_i) and Σ_i d′_i·q_i, [K,cuts,2]. */
function volumesByDefinition(halves: Halves, side: Float32Array): Float64Array {
  const { label, cuts } = halves;
  const volume = new Float64Array(CLUSTERS * cuts * 2);
  for (const [i, row] of inner(halves).entries())
    for (let cut = 0; cut < cuts; cut++) {
      const degree = row.reduce((a, b) => a + b, 0);
      const q = side[i * cuts + cut];
      volume[(label[i] * cuts + cut) * 2] += degree * (1 - q);
      volume[(label[i] * cuts + cut) * 2 + 1] += degree * q;
    }
  return volume;
}

/** The sums over rows that are cut into pieces at these places. */
function inPieces<T>(n: number, at: number[], of: (from: number, to: number) => T): T[] {
  const ends = [0, ...at.map((place) => Math.min(place, n)).sort((a, b) => a - b), n];
  return ends.slice(1).map((end, i) => of(ends[i], end));
}
const sum = (arrays: Float64Array[]) => arrays[0].map((_, p) => arrays.reduce((all, own) => all + own[p], 0));
const pieces = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 4 });

describe('halves of clusters', () => {
  test('have volumes of the edges within their cluster, whichever way rows are cut', () => {
    fc.assert(
      fc.property(cases, pieces, ({ halves, side }, at) => {
        const { cuts } = halves;
        const parts = inPieces(rowsOf(halves), at, (from, to) =>
          withVolumes(halves, side.slice(from * cuts, to * cuts), from, to),
        );
        close(sum(parts.map(({ volume }) => volume)), volumesByDefinition(halves, side), 1e-12);
      }),
    );
  });

  test('move by the formula of a sweep', () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(0.5, 2, 4), ({ halves, side }, coupling) => {
        const { label, cuts } = halves;
        const n = rowsOf(halves);
        const volume = volumesByDefinition(halves, side);
        const next = sweepHalves(halves, { side, volume }, coupling, 0, n);
        for (const [i, row] of inner(halves).entries())
          for (let cut = 0; cut < cuts; cut++) {
            const linkOf = (half: (q: number) => number) =>
              row.reduce((all, w, j) => all + w * half(side[j * cuts + cut]), 0);
            const [w0, w1] = [linkOf((q) => 1 - q), linkOf((q) => q)];
            const own = (label[i] * cuts + cut) * 2;
            const [zero, one] = [volume[own], volume[own + 1]];
            const balance = zero + one > 0 ? (one - zero) / (zero + one) : 0;
            // log q/(1 − q)
            const logit = coupling * (w1 - w0 - (w0 + w1) * balance);
            close(next.side[i * cuts + cut], 1 / (1 + Math.exp(-logit)), 1e-6);
          }
        close(next.volume, volumesByDefinition(halves, next.side), 1e-12);
      }),
    );
  });

  test('move to the same sides, bit by bit, whichever way rows are cut', () => {
    fc.assert(
      fc.property(cases, pieces, ({ halves, side }, at) => {
        const n = rowsOf(halves);
        const before = { side, volume: volumesByDefinition(halves, side) };
        const whole = sweepHalves(halves, before, 1.5, 0, n);
        const parts = inPieces(n, at, (from, to) => sweepHalves(halves, before, 1.5, from, to));
        assert.deepEqual(
          parts.flatMap((part) => [...part.side]),
          [...whole.side],
        );
        close(sum(parts.map(({ volume }) => volume)), whole.volume, 1e-12);
      }),
    );
  });

  test('of a row without neighbours in its cluster are ½, and never NaN', () => {
    const graph = randomGraph(1, 6, () => 0);
    const halves: Halves = { graph, label: new Int32Array(6), clusters: 1, cuts: 1 };
    const side = Float32Array.of(0, 1, 0, 1, 1, 1);
    const next = sweepHalves(halves, withVolumes(halves, side, 0, 6), 4, 0, 6);
    assert.deepEqual([...next.side], Array(6).fill(0.5));
  });

  test('have the links of hard sides: each edge between them once', () => {
    fc.assert(
      fc.property(cases, pieces, ({ halves, side }, at) => {
        const { graph, label, cuts } = halves;
        const degree = degrees(graph);
        const parts = inPieces(rowsOf(halves), at, (from, to) => halfLinks(halves, side, degree, from, to));
        const found = {
          rows: sum(parts.map(({ rows }) => rows)),
          volume: sum(parts.map(({ volume }) => volume)),
          between: sum(parts.map(({ between }) => between)),
        };
        const weights = inner(halves);
        for (let cluster = 0; cluster < CLUSTERS; cluster++)
          for (let cut = 0; cut < cuts; cut++) {
            const own = [...label.keys()].filter((i) => label[i] === cluster);
            const [zero, one] = [false, true].map((half) =>
              own.filter((i) => side[i * cuts + cut] > 0.5 === half),
            );
            const place = cluster * cuts + cut;
            assert.deepEqual(
              [...found.rows.subarray(2 * place, 2 * place + 2)],
              [zero, one].map(({ length }) => length),
            );
            const volumes = [zero, one].map((rows) => rows.reduce((all, i) => all + degree[i], 0));
            close(found.volume.subarray(2 * place, 2 * place + 2), volumes, 1e-12);
            const between = zero.reduce((all, i) => all + one.reduce((w, j) => w + weights[i][j], 0), 0);
            close(found.between[place], between, 1e-12);
          }
      }),
    );
  });

  test('say what a split gains: what the objective does, times half of all weights', () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(0.5, 1, 3), ({ halves, side }, gamma) => {
        const { graph, label, cuts } = halves;
        if (graph.index.length === 0) return;
        const degree = degrees(graph);
        const total = degree.reduce((a, b) => a + b, 0);
        const n = rowsOf(halves);
        const { volume, between } = halfLinks(halves, side, degree, 0, n);
        const split = label.map((own, i) => (own === 1 && side[i * cuts] > 0.5 ? CLUSTERS : own));
        const at = cuts;
        const gain = (gamma * volume[2 * at] * volume[2 * at + 1]) / total - between[at];
        const raised = quality(graph, split, gamma) - quality(graph, label, gamma);
        close(gain, (total / 2) * raised, 1e-9);
      }),
    );
  });
});

test('sweeps with a rising coupling find two halves that hardly touch', () => {
  const n = 40;
  const graph = randomGraph(5, n, (i, j) => (i < n / 2 === j < n / 2 ? 0.5 : 0.02));
  const halves: Halves = { graph, label: new Int32Array(n), clusters: 1, cuts: 1 };
  const rng = generator(5n, 'halves-test');
  // Six in ten are on their side at first.
  const side = Float32Array.from({ length: n }, (_, i) => +(rng.uniform() < 0.6 === i >= n / 2));
  let state = withVolumes(halves, side, 0, n);
  for (let sweep = 0; sweep < 25; sweep++) state = sweepHalves(halves, state, 0.5 + 0.15 * sweep, 0, n);
  const found = Array.from(state.side, (q) => q > 0.5);
  assert.deepEqual(
    found,
    found.map((_, i) => found[n - 1] === i >= n / 2),
  );
});
