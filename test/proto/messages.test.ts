import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode, encode, MalformedMessage } from '../../proto/codec.ts';
import { fromWorker, MOST_ABOUT, MOST_WHY } from '../../proto/messages.ts';
import { CASES } from '../worker/task-cases.ts';
import { FROM_COORDINATOR, FROM_WORKER, fromCoordinator } from './support.ts';

const directions = [
  { name: 'from worker', schema: fromWorker, messages: Object.values(FROM_WORKER).flat() as object[] },
  {
    name: 'from coordinator',
    schema: fromCoordinator,
    messages: Object.values(FROM_COORDINATOR).flat() as object[],
  },
];
const through = (schema: typeof fromWorker | typeof fromCoordinator, message: object) =>
  decode<unknown>(schema as typeof fromWorker, encode(message)).header;
const round = (over: object) => ({ ...FROM_COORDINATOR.round[0], ...over });

for (const { name, schema, messages } of directions) {
  describe(`messages ${name}`, () => {
    test('arrive as they were sent, for all types', () => {
      for (const message of messages) assert.deepEqual(through(schema, message), message);
    });

    test('require every field but the optional ones', () => {
      const optional = [
        'problem',
        'gpu',
        'gpuMemory',
        'relays',
        'workers of hello',
        'streams',
        'sampled',
        'texts',
      ];
      for (const message of messages) {
        for (const field of Object.keys(message)) {
          const { [field]: _, ...rest } = message as Record<string, unknown>;
          const isOptional =
            optional.includes(field) ||
            optional.includes(`${field} of ${(message as { type: string }).type}`);
          if (isOptional) assert.deepEqual(through(schema, rest), rest);
          else
            assert.throws(
              () => through(schema, rest),
              MalformedMessage,
              `${JSON.stringify(rest)} lacks ${field}`,
            );
        }
      }
    });

    test('have no field of another type', () => {
      for (const message of messages) {
        for (const field of Object.keys(message))
          for (const value of [-1, 0.5, { a: 'x' }, [[]], 'x'.repeat(4097), Number.NaN])
            assert.throws(
              () => through(schema, { ...message, [field]: value }),
              MalformedMessage,
              `${field} of ${JSON.stringify(message)} as ${value}`,
            );
      }
    });

    test('lose unknown fields', () => {
      for (const message of messages) assert.deepEqual(through(schema, { ...message, later: 1 }), message);
    });

    test('of unknown type, of the other direction or without a type are rejected', () => {
      const other = directions.find((direction) => direction.name !== name)!;
      const none = [
        {},
        { type: 'hallo' },
        { type: 1 },
        { type: null },
        { type: '__proto__' },
        { type: 'toString' },
      ];
      for (const message of [...none, ...other.messages])
        assert.throws(() => through(schema, message), MalformedMessage);
    });
  });
}

describe('limits', () => {
  test('a worker’s texts about itself are short single lines', () => {
    const [hello] = FROM_WORKER.hello;
    for (const [field, most] of [
      ...['identity', 'backend', 'host', 'name', 'gpu'].map((name) => [name, MOST_ABOUT] as const),
      ['why', MOST_WHY] as const,
    ]) {
      const long = { ...hello, [field]: 'x'.repeat(most) };
      assert.deepEqual(through(fromWorker, long), long);
      assert.throws(() => through(fromWorker, { ...long, [field]: 'x'.repeat(most + 1) }), MalformedMessage);
      const strange = through(fromWorker, { ...hello, [field]: 'a\n\u001b[2Jb\u202ec' }) as typeof hello;
      assert.equal(strange[field as 'name'], 'a\ufffd\ufffd[2Jb\ufffdc');
    }
    const [failure] = FROM_WORKER.failure;
    assert.deepEqual(through(fromWorker, { ...failure, message: 'a\n\u001b]0;owned\u0007' }), {
      ...failure,
      message: 'a\n\ufffd]0;owned\ufffd',
    });
  });

  test('texts have at most 4096 characters, names 64', () => {
    const [failure] = FROM_WORKER.failure;
    const long = { ...failure, message: 'x'.repeat(4096) };
    assert.deepEqual(through(fromWorker, long), long);
    const uses = (name: string) => round({ uses: [{ name, version: 1 }] });
    through(fromCoordinator, uses('x'.repeat(64)));
    assert.throws(() => through(fromCoordinator, uses('x'.repeat(65))), MalformedMessage);
  });

  test('a fetch has at most 32768 blocks, without duplicates', () => {
    const fetch = (blocks: number[]) => through(fromWorker, { type: 'fetch', request: 1, blocks });
    const upTo = (count: number) => [...Array(count).keys()];
    fetch(upTo(32768));
    assert.throws(() => fetch(upTo(32769)), MalformedMessage);
    assert.throws(() => fetch([3, 4, 3]), MalformedMessage);
  });

  test('results have at most 65536 units and valid times', () => {
    const [results] = FROM_WORKER.results;
    const [[unit]] = results.done;
    const done = (...lengths: number[]) => ({
      ...results,
      done: lengths.map((length) => Array(length).fill(unit)),
    });
    through(fromWorker, done(65536));
    through(fromWorker, done(1, 65535));
    assert.throws(() => through(fromWorker, done(65537)), MalformedMessage);
    assert.throws(() => through(fromWorker, done(65535, 2)), MalformedMessage);
    const many = Object.fromEntries([...Array(65).keys()].map((i) => [`task ${i}`, 0]));
    for (const seconds of [{ moments: -1 }, { moments: Infinity }, { ['x'.repeat(65)]: 0 }, many])
      assert.throws(() => through(fromWorker, { ...results, seconds }), MalformedMessage);
  });

  test('there are at most 65536 cells, each of which is checked once, whatever the nesting', () => {
    const [sums] = CASES['cell-sums'];
    const task = (cells: unknown) => through(fromCoordinator, round({ tasks: [{ ...sums, cells }] }));
    task(Array(65536).fill(0));
    assert.throws(() => task(Array(65537).fill(0)), MalformedMessage);
    assert.throws(() => task([{ near: [0], into: [...Array(65536).fill(0)] }]), MalformedMessage);
    const nested = (depth: number, end: unknown): unknown =>
      depth ? { axis: 0, at: 0, into: [nested(depth - 1, end), 0] } : end;
    task([nested(25, 0)]);
    const begun = performance.now();
    assert.throws(() => task([nested(25, 'x')]), MalformedMessage);
    assert.ok(performance.now() - begun < 500, 'each level doubles the time');
    assert.throws(() => task([nested(40, 0)]), /nested too deep/);
  });

  test('counts are integers of at most 2⁵³ − 1', () => {
    const version = (value: unknown) => round({ uses: [{ name: 'net', version: value }] });
    through(fromCoordinator, version(2 ** 53 - 1));
    for (const value of [2 ** 53, 2n ** 63n, -1, 1.5, '1', Infinity])
      assert.throws(() => through(fromCoordinator, version(value)), MalformedMessage, String(value));
  });

  test('the seed consists of decimal digits', () => {
    const [welcome] = FROM_COORDINATOR.welcome;
    for (const seed of ['', '-1', '0x1', '1'.repeat(21), '1\n', 1])
      assert.throws(
        () => through(fromCoordinator, { ...welcome, layout: { ...welcome.layout, seed } }),
        MalformedMessage,
        JSON.stringify(seed),
      );
  });

  test('results have at least one unit', () => {
    assert.throws(() => through(fromWorker, { ...FROM_WORKER.results[0], done: [] }), MalformedMessage);
  });
});

describe('tasks', () => {
  const task = (value: unknown) => through(fromCoordinator, round({ tasks: [value] }));

  test('require every parameter but the optional ones', () => {
    const optional = [
      'field',
      'byMixture',
      'clusters of full-pass',
      'density',
      'map',
      'draw of sample-labels',
      'every of sample-rows',
    ];
    for (const value of Object.values(CASES).flat()) {
      task(value);
      for (const field of Object.keys(value)) {
        const { [field]: _, ...rest } = value as Record<string, unknown>;
        if (optional.includes(field) || optional.includes(`${field} of ${value.task}`)) task(rest);
        else assert.throws(() => task(rest), MalformedMessage, `${JSON.stringify(value)} without ${field}`);
      }
    }
  });

  test('reject parameters out of range', () => {
    const [moments] = CASES.moments;
    const [steps] = CASES['cluster-steps'];
    const [sums] = CASES['cell-sums'];
    const [neighbours] = CASES.neighbours;
    const [partitions] = CASES.partitions;
    const [nulls] = CASES['null-partitions'];
    for (const wrong of [
      { ...steps, field: {} },
      { ...steps, field: { coupling: 2 } },
      { ...steps, field: { coupling: 2, resolution: 0 } },
      { ...neighbours, k: 0 },
      { ...neighbours, k: 1025 },
      { ...partitions, resolutions: [] },
      { ...partitions, resolutions: [1, -1] },
      { ...partitions, resolutions: [1025] },
      { ...partitions, resolutions: Array(65).fill(1) },
      { ...partitions, replicates: 0 },
      { ...partitions, replicates: 65 },
      { ...partitions, share: 0 },
      { ...partitions, share: 1.01 },
      { ...nulls, variances: [] },
      { ...nulls, variances: [1, 0] },
      { ...nulls, variances: [1, Infinity] },
      { ...nulls, variances: Array(1025).fill(1) },
      { ...nulls, rows: 3 },
      { ...nulls, rows: 1e9 },
      { ...nulls, neighbours: 0 },
      { ...nulls, replicates: 1 },
      { ...nulls, resolutions: [1e9] },
      { ...CASES['sample-covariance'][0], every: 0 },
      { ...CASES['start-partition'][0], resolution: 1025 },
      { ...steps, field: { coupling: 0, resolution: 1 } },
      { ...steps, field: { coupling: 2, resolution: 1e300 } },
      { ...moments, sample: 1.01 },
      { ...moments, sample: -0.01 },
      { ...steps, steps: 0 },
      { ...steps, batch: 0 },
      { ...steps, rate: 0 },
      { ...steps, form: 'theta' },
      { ...steps, average: 'both' },
      { ...sums, leaves: 0 },
      { ...sums, groups: 'subs' },
      { ...sums, task: 'cell-means' },
      { ...sums, cells: [-2] },
      { ...sums, cells: [{ linear: [0, 1], offsets: [0], into: [0, 1] }] },
      { ...sums, cells: [{ linear: [0, 1], offsets: [0, 0], into: [0] }] },
      { ...sums, cells: [{ linear: [0, 1], offsets: [0, Number.NaN], into: [0, 1] }] },
      { ...CASES.statistics[0], block: 0 },
      { ...CASES['cell-histogram'][0], bins: 2.5 },
      { ...CASES['cell-fourth-moments'][0], whitening: 'x'.repeat(65) },
      { ...sums, cells: [0.5] },
      { ...sums, cells: [{ near: [], into: [] }] },
      { ...sums, cells: [{ near: [-1], into: [0] }] },
      { ...sums, cells: [{ axis: 0, at: 0, into: [0] }] },
      { ...sums, cells: [{ axis: 0, at: Number.NaN, into: [0, 1] }] },
      { ...sums, cells: [{ into: [0, 1] }] },
      { ...sums, cells: [null] },
    ])
      assert.throws(() => task(wrong), MalformedMessage, JSON.stringify(wrong));
  });
});
