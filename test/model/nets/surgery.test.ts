import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  clusteringNet,
  type Net,
  type OutputUnit,
  resizeClusteringNet,
  resizeSubNets,
  subNets,
} from '../../../model/nets/net.ts';
import { close, forAll, normals } from '../support.ts';

const D = 3;

/** The net with biases and moments that are non-zero and all different. */
function trained(net: Net): Net {
  const next = normals(4);
  const noise = () => net.params.map((values) => values.map(next));
  return { ...net, params: noise(), first: noise(), second: noise(), steps: 77 };
}
const clustering = (k: number, hidden = [6]) => trained(clusteringNet(1n, D, hidden, k));
const nets = (k: number) => trained(subNets(1n, D, k));

const kept = (from: number): OutputUnit => ({ from, share: 1, fresh: false });
const fresh = (from: number, share = 1): OutputUnit => ({ from, share, fresh: true });
const anyShare = fc.double({ min: 1e-6, max: 1, noNaN: true });
const units = (most: number) =>
  fc.array(fc.record({ from: fc.nat(most), share: anyShare, fresh: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  });

/** Logits as float32 arithmetic would have them in any fixed order: equal columns give equal bits. */
function logits({ shapes, params }: Net, x: number[]): number[] {
  let at = x;
  for (let l = 0; l < shapes.length; l += 2) {
    const [, cols] = shapes[l];
    at = Array.from({ length: cols }, (_, j) => {
      const sum = at.reduce(
        (s, v, i) => Math.fround(s + Math.fround(v * params[l][i * cols + j])),
        params[l + 1][j],
      );
      return l + 2 < shapes.length ? Math.max(0, sum) : sum;
    });
  }
  return at;
}

/** Unit `unit` of the last layer: its weight column, then its bias. */
function unitOf({ shapes }: Net, arrays: Float32Array[], unit: number): number[] {
  const k = shapes.at(-1)![0];
  return [...arrays.at(-2)!.filter((_, p) => p % k === unit), arrays.at(-1)![unit]];
}
/** Net c of all in a stack: all its numbers. */
const netOf = (arrays: Float32Array[], k: number, c: number) =>
  arrays.map((values) => [...values.subarray((c * values.length) / k, ((c + 1) * values.length) / k)]);

describe('surgery on the clustering net', () => {
  test('parts of a cluster have, together, the probability that it had, and each its share of that', () => {
    const weights = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 2, maxLength: 6 });
    const row = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: D, maxLength: D });
    forAll([weights, row], (sizes, x) => {
      const total = sizes.reduce((a, b) => a + b);
      const shares = sizes.map((size) => size / total);
      const net = clustering(3);
      const split = resizeClusteringNet(net, [kept(0), ...shares.map((share) => fresh(1, share)), kept(2)]);
      const probabilities = (of: Net) => {
        const values = logits(of, x);
        const top = Math.max(...values);
        const e = values.map((value) => Math.exp(value - top));
        return e.map((value) => value / e.reduce((a, b) => a + b));
      };
      const before = probabilities(net);
      const after = probabilities(split);
      close([after[0], after.at(-1)!], [before[0], before[2]], 1e-5);
      close(
        after.slice(1, -1),
        shares.map((share) => share * before[1]),
        1e-5,
      );
    });
  });

  test('units in any order and number; fresh ones have a zero first moment and keep the second', () => {
    forAll([units(2)], 50, (wanted) => {
      const net = clustering(3);
      const resized = resizeClusteringNet(net, wanted);
      const k = wanted.length;
      assert.deepEqual(resized.shapes, [[D, 6], [6], [6, k], [k]]);
      assert.equal(resized.steps, 77);
      wanted.forEach(({ from, share, fresh }, unit) => {
        const column = unitOf(net, net.params, from);
        const bias = Math.fround(column.pop()! + Math.log(share));
        assert.deepEqual(unitOf(resized, resized.params, unit), [...column, bias]);
        assert.deepEqual(unitOf(resized, resized.second, unit), unitOf(net, net.second, from));
        const first = unitOf(net, net.first, from);
        assert.deepEqual(unitOf(resized, resized.first, unit), fresh ? first.map(() => 0) : first);
      });
      for (const i of [0, 1])
        for (const name of ['params', 'first', 'second'] as const)
          assert.deepEqual(resized[name][i], net[name][i]);
    });
  });
});

describe('surgery on the sub-clustering nets', () => {
  test('kept nets keep all moments; fresh ones equal newly initialized ones, with zero moments', () => {
    forAll([units(2), fc.integer({ min: 1, max: 200 })], 30, (wanted, epoch) => {
      const old = nets(3);
      const resized = resizeSubNets(old, wanted, 9n, epoch);
      const k = wanted.length;
      const drawn = subNets(9n, D, k, epoch);
      assert.deepEqual(resized.shapes, [
        [k, D, 50],
        [k, 50],
        [k, 50, 2],
        [k, 2],
      ]);
      assert.equal(resized.steps, 77);
      wanted.forEach(({ from, fresh }, unit) => {
        for (const name of ['params', 'first', 'second'] as const) {
          const expected = fresh ? netOf(drawn[name], k, unit) : netOf(old[name], 3, from);
          assert.deepEqual(netOf(resized[name], k, unit), expected, name);
        }
      });
    });
  });
});
