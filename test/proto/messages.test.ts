import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode, encode, MalformedMessage } from '../../proto/codec.ts';
import { fromCoordinator, fromWorker } from '../../proto/messages.ts';
import { FROM_COORDINATOR, FROM_WORKER, TASKS } from './support.ts';

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
    test('arrive as they were sent, all kinds', () => {
      for (const message of messages) assert.deepEqual(through(schema, message), message);
    });

    test('need every field but those that may be missing', () => {
      for (const message of messages) {
        for (const field of Object.keys(message)) {
          const { [field]: _, ...rest } = message as Record<string, unknown>;
          if (['problem', 'gpu', 'gpuMemory'].includes(field)) assert.deepEqual(through(schema, rest), rest);
          else
            assert.throws(
              () => through(schema, rest),
              MalformedMessage,
              `${JSON.stringify(rest)} lacks ${field}`,
            );
        }
      }
    });

    test('have no field of another kind', () => {
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

    test('lose fields that this version does not know', () => {
      for (const message of messages) assert.deepEqual(through(schema, { ...message, later: 1 }), message);
    });

    test('of unknown kind, of the other direction or of none are refused', () => {
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
  test('texts have 4096 characters at most, names 64, a fetch 65536 blocks', () => {
    const [hello] = FROM_WORKER.hello;
    assert.deepEqual(through(fromWorker, { ...hello, name: 'x'.repeat(4096) }), {
      ...hello,
      name: 'x'.repeat(4096),
    });
    const uses = (name: string) => round({ uses: [{ name, version: 1 }] });
    through(fromCoordinator, uses('x'.repeat(64)));
    assert.throws(() => through(fromCoordinator, uses('x'.repeat(65))), MalformedMessage);
    const fetch = (count: number) => ({ type: 'fetch', request: 1, blocks: Array(count).fill(1) });
    through(fromWorker, fetch(65536));
    assert.throws(() => through(fromWorker, fetch(65537)), MalformedMessage);
  });

  test('counts are whole and at most 2⁵³ − 1', () => {
    const version = (value: unknown) => round({ uses: [{ name: 'net', version: value }] });
    through(fromCoordinator, version(2 ** 53 - 1));
    for (const value of [2 ** 53, 2n ** 63n, -1, 1.5, '1', Infinity])
      assert.throws(() => through(fromCoordinator, version(value)), MalformedMessage, String(value));
  });

  test('the seed is decimal digits', () => {
    const [welcome] = FROM_COORDINATOR.welcome;
    for (const seed of ['', '-1', '0x1', '1'.repeat(21), '1\n', 1])
      assert.throws(
        () => through(fromCoordinator, { ...welcome, layout: { ...welcome.layout, seed } }),
        MalformedMessage,
        JSON.stringify(seed),
      );
  });

  test('results are of one unit at least', () => {
    assert.throws(() => through(fromWorker, { ...FROM_WORKER.results[0], done: [] }), MalformedMessage);
  });
});

describe('tasks', () => {
  const task = (value: unknown) => through(fromCoordinator, round({ tasks: [value] }));

  test('need every parameter', () => {
    for (const value of Object.values(TASKS).flat() as object[]) {
      task(value);
      for (const field of Object.keys(value)) {
        const { [field]: _, ...rest } = value as Record<string, unknown>;
        assert.throws(() => task(rest), MalformedMessage, `${JSON.stringify(value)} without ${field}`);
      }
    }
  });

  test('take no parameter out of range', () => {
    const [moments] = TASKS.moments;
    const [steps] = TASKS['cluster-steps'];
    const [sums] = TASKS['cell-sums'];
    for (const wrong of [
      { ...moments, sample: 1.01 },
      { ...moments, sample: -0.01 },
      { ...steps, steps: 0 },
      { ...steps, batch: 0 },
      { ...steps, rate: 0 },
      { ...steps, loss: 'KL' },
      { ...steps, average: 'both' },
      { ...sums, leaves: 0 },
      { ...sums, groups: 'subs' },
      { ...sums, task: 'cell-means' },
      { ...sums, cells: [-2] },
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
