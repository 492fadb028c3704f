// Workers in other languages are written from proto/README.md, so it must be correct.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { blockHash, MAX_READ_BYTES } from '../../data/blocks.ts';
import { layoutOf, shardBlocks } from '../../model/layout.ts';
import { generator, priority, type Rng, shuffledPrefix } from '../../model/random.ts';
import { decode, MAX_DEPTH, MAX_FRAME, MAX_HEADER, MAX_VALUES } from '../../proto/codec.ts';
import { fromWorker, MOST_ABOUT, MOST_DONE, MOST_FETCHED, MOST_WHY, PROTOCOL } from '../../proto/messages.ts';
import { MAX_MESSAGE } from '../../proto/task-limits.ts';
import { DTYPES } from '../../proto/tensors.ts';
import { FROM_COORDINATOR, FROM_WORKER } from './support.ts';

const readme = readFileSync(new URL('../../proto/README.md', import.meta.url), 'utf8');
/** The row of a table with this first cell, without that cell. */
const row = (start: string, text = readme) => {
  const lines = text.split('\n').filter((line) => line.startsWith(`| ${start} |`));
  assert.equal(lines.length, 1, `${lines.length} rows begin with ${start}`);
  return lines[0].slice(start.length + 5, -2);
};
const times = (count: number, draw: () => number) => Array.from({ length: count }, draw);

describe('random numbers', () => {
  test('match the table', () => {
    const of = (...keys: number[]) => generator(42n, 'batches', ...keys);
    const long = of(3, 2 ** 40);
    const batches = [long.uint32(), long.uint32(), long.below(1000)];
    const late = generator(2n ** 63n + 5n, 'blocks');
    const sub = generator(42n, 'sub-batches', 12, 0);
    for (const [start, values, separator] of [
      ['`generator(42, "batches", 3, 7)`: three words', times(3, of(3, 7).uint32), ', '],
      ['the same: two `uniform()`', times(2, of(3, 7).uniform), ', '],
      ['`generator(42, "batches", 3, 2⁴⁰)`: two words, `below(1000)`', batches, ', '],
      ['`generator(2⁶³+5, "blocks")`: two words', times(2, late.uint32), ', '],
      ['`generator(42, "sub-batches", 12, 0)`: `below(1000)` × 8', times(8, () => sub.below(1000)), ' '],
      [
        '`shuffledPrefix(generator(42, "blocks"), 10, 10)`',
        [...shuffledPrefix(generator(42n, 'blocks'), 10, 10)],
        ' ',
      ],
      [
        '`shuffledPrefix(generator(42, "batches", 1, 0), 1000, 5)`',
        [...shuffledPrefix(of(1, 0), 1000, 5)],
        ' ',
      ],
      ['`priority(42)` of 0, 1, 10⁶, 2³²+5', [0, 1, 1e6, 2 ** 32 + 5].map(priority(42n)), ', '],
    ] as [string, number[], string][])
      assert.equal(row(start), values.join(separator));
  });

  /** The algorithm, literally, with big integers truncated to 32 bits. */
  test('follow the algorithm', () => {
    const word = (value: bigint) => BigInt.asUintN(32, value);
    const mix = (h: bigint) => {
      h = word((h ^ (h >> 16n)) * 0x85ebca6bn);
      h = word((h ^ (h >> 13n)) * 0xc2b2ae35n);
      return h ^ (h >> 16n);
    };
    const hash = (words: bigint[]) => {
      let [a, b, c] = [0x9e3779b9n, 0x243f6a88n, 0xb7e15162n];
      for (const w of words) {
        a = word(mix(word(a * 0x2c1b3c6dn) ^ w) + 0x3c6ef372n);
        b = word(mix(word(b * 0x297a2d39n) ^ a ^ w) + 0x6a09e667n);
        c = word(mix(word(c * 0x1b56c4e9n) ^ b ^ w) + 0x510e527fn);
      }
      return [a, b, c];
    };
    const words = (value: bigint) => [word(value), word(value >> 32n)];
    const next = (seed: bigint, purpose: string, keys: bigint[]) => {
      const letters = [...purpose].map((letter) => BigInt(letter.codePointAt(0)!));
      let [a, b, c] = hash([...words(seed), BigInt(letters.length), ...letters, ...keys.flatMap(words)]);
      let n = 1n;
      const draw = () => {
        const s = word(a + b + n);
        n = word(n + 1n);
        a = b ^ (b >> 9n);
        b = word(c + (c << 3n));
        c = word(word((c << 21n) | (c >> 11n)) + s);
        return Number(s);
      };
      times(12, draw);
      return draw;
    };
    for (const [seed, purpose, keys] of [
      [0n, '', []],
      [42n, 'batches', [3, 7]],
      [2n ** 64n - 1n, 'größe', [-1, 2 ** 40 + 3]],
    ] as [bigint, string, number[]][]) {
      const draw = next(seed, purpose, keys.map(BigInt));
      const rng: Rng = generator(seed, purpose, ...keys);
      assert.deepEqual(times(50, draw), times(50, rng.uint32));
      const uniform = () => ((draw() >>> 6) * 2 ** 27 + (draw() >>> 5)) * 2 ** -53;
      assert.deepEqual(times(20, uniform), times(20, rng.uniform));
      const below = (m: number) => {
        for (;;) {
          const x = draw();
          if (x < 2 ** 32 - (2 ** 32 % m)) return x % m;
        }
      };
      for (const m of [1, 7, 1000, 2 ** 31 + 1, 2 ** 32])
        assert.deepEqual(
          times(20, () => below(m)),
          times(20, () => rng.below(m)),
        );
      const v = [...Array(30).keys()];
      for (let i = 0; i < 20; i++) {
        const j = i + below(30 - i);
        [v[i], v[j]] = [v[j], v[i]];
      }
      assert.deepEqual(v.slice(0, 20), [...shuffledPrefix(rng, 30, 20)]);

      const [a, b, c] = hash([...words(seed), 0x70726930n]);
      for (const index of [0, 1, 12345, 2 ** 31, 2 ** 32 + 5, 2 ** 50 + 1]) {
        const [lo, hi] = words(BigInt(index));
        const p = mix(mix(mix(lo ^ a) ^ hi) ^ b);
        const q = mix(mix(word(p + c)) ^ lo);
        const expected = Number(p >> 6n) * 2 ** -26 + Number(q >> 5n) * 2 ** -53;
        assert.equal(priority(seed)(index), expected);
      }
    }
  });
});

describe('rows', () => {
  test('are divided and assigned as in the table', () => {
    const layout = layoutOf(200, 2, 4, 42n);
    assert.deepEqual(layout, { rows: 200, dim: 2, shards: 4, blockRows: 16, seed: '42' });
    const assigned = shardBlocks(layout).map((blocks) => blocks.map(({ index }) => index).join(' '));
    assert.equal(row('rows 200, shards 4, blockRows 16, seed 42'), assigned.join(' | '));
  });

  test('have the stated hash', () => {
    const hash = Buffer.from(blockHash(Float32Array.of(1, 2, 3, 4))).toString('hex');
    assert.ok(readme.includes(`Rows (1, 2), (3, 4): \`${hash}\``));
  });
});

describe('messages', () => {
  test('are complete, with all their fields', () => {
    const all = { ...FROM_WORKER, ...FROM_COORDINATOR };
    for (const [type, messages] of Object.entries(all)) {
      const described = row(`\`${type}\``);
      for (const field of messages
        .flatMap((message) => Object.keys(message))
        .filter((name) => name !== 'type'))
        assert.match(described, new RegExp(`\\b${field}\\b`), `${type} has ${field}`);
    }
  });

  test('have the stated version, types and limits', () => {
    assert.match(readme, new RegExp(`^# .*version ${PROTOCOL}\n`));
    assert.equal(row('`dtype`').match(/`\w+`/g)!.join(' '), DTYPES.map((name) => `\`${name}\``).join(' '));
    assert.equal(row('header (`MAX_HEADER`)'), `${MAX_HEADER / 2 ** 20} MiB`);
    assert.equal(row('message, all frames (`MAX_MESSAGE`)'), `${MAX_MESSAGE / 2 ** 30} GiB`);
    const frame = row('frame of tensors, and any frame of a worker (`MAX_FRAME`)');
    assert.ok(frame.startsWith(`${MAX_FRAME / 2 ** 10} KiB;`), frame);
    const header = row('values in a header, including keys; nesting of lists and maps');
    assert.equal(header, `${MAX_VALUES.toLocaleString('en')}; ${MAX_DEPTH}`);
    assert.ok(row('strings of `hello`; its `why`').startsWith(`${MOST_ABOUT}; ${MOST_WHY}.`));
    assert.ok(row('`blocks` of a `fetch`').startsWith(`${MOST_FETCHED.toLocaleString('en')},`));
    assert.ok(row('`blocks` of a `fetch`').includes(`${MAX_READ_BYTES / 2 ** 20} MiB of rows`));
    const done = row('units in `done` of `results`; tasks in `seconds`');
    assert.ok(done.startsWith(`${MOST_DONE.toLocaleString('en')};`));
  });

  test('look like the example', () => {
    const [, bytes] = readme.match(/fetch \{request: 3, blocks: \[2, 300\]\}:\n +([0-9a-f ]+)\n/)!;
    const { header } = decode(fromWorker, [Buffer.from(bytes.replaceAll(' ', ''), 'hex')]);
    assert.deepEqual(header, { type: 'fetch', request: 3, blocks: [2, 300] });
  });
});
