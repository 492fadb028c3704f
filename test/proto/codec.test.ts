import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { elementCount } from '../../model/arrays.ts';
import {
  decode,
  encode,
  MAX_FRAME,
  MAX_HEADER,
  MalformedMessage,
  prefixed,
  unprefixed,
} from '../../proto/codec.ts';
import { fromWorker } from '../../proto/messages.ts';
import { MAX_MESSAGE } from '../../proto/task-limits.ts';
import { bytesOf, DTYPES, dtypeOf, type Nd, nd, type Tensors, take } from '../../proto/tensors.ts';
import { FROM_COORDINATOR, FROM_WORKER, fromCoordinator } from './support.ts';

const ARRAYS = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
};
const packr = new Packr({ useRecords: false });
const ping = { type: 'ping' as const };
const read = (frames: Uint8Array[]) => decode(fromWorker, frames).tensors;
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');
const malformed = (frames: Uint8Array[], message: RegExp, schema: unknown = fromWorker) =>
  assert.throws(
    () => decode(schema as typeof fromWorker, frames),
    (error) => error instanceof MalformedMessage && message.test(error.message) && error.message.length < 200,
  );

/** A tensor with arbitrary bytes as its content, so including all NaNs. */
const tensor: fc.Arbitrary<Nd> = fc
  .record({
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 4 }),
    offset: fc.integer({ min: 0, max: 3 }),
    seed: fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
  })
  .map(({ dtype, shape, offset, seed }) => {
    const Kind = ARRAYS[dtype];
    const whole = new Kind(elementCount(shape) + offset);
    const bytes = bytesOf(whole);
    for (let i = 0; i < bytes.length; i++) bytes[i] = seed.next().value as number;
    // A view of a larger array: only its own bytes may be sent.
    return { shape, data: whole.subarray(offset) };
  });
const name = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '0'),
);
const tensors: fc.Arbitrary<Tensors> = fc
  .array(fc.tuple(name, tensor), { maxLength: 6 })
  .map((entries) => Object.assign(Object.create(null), Object.fromEntries(entries)));

function assertSame(actual: Tensors, sent: Tensors): void {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(sent).sort());
  for (const [name, { shape, data }] of Object.entries(sent)) {
    assert.deepEqual(actual[name].shape, shape);
    assert.equal(dtypeOf(actual[name].data), dtypeOf(data));
    assert.ok(bytesOf(actual[name].data).equals(bytesOf(data)), `${name} has other bytes`);
  }
}

describe('encode and decode', () => {
  test('return tensors of every type and shape, bit for bit', () => {
    fc.assert(
      fc.property(tensors, (sent) => {
        const { header, tensors } = decode(fromWorker, encode(ping, sent));
        assert.deepEqual(header, ping);
        assertSame(tensors, sent);
      }),
      { numRuns: 500 },
    );
  });

  test('return them from frames at any memory address', () => {
    fc.assert(
      fc.property(tensors, fc.integer({ min: 1, max: 7 }), (sent, offset) => {
        const frames = encode(ping, sent).map((frame) => {
          const moved = new Uint8Array(frame.length + offset).subarray(offset);
          moved.set(frame);
          return moved;
        });
        assertSame(read(frames), sent);
      }),
      { numRuns: 200 },
    );
  });

  test('send small tensors in a shared frame, aligned to 8 bytes, and large ones in frames of their own', () => {
    const large = nd(new Float32Array(1 << 14).fill(0.5), 128, 128);
    const sent = {
      a: nd(Uint8Array.of(1, 2, 3)),
      large,
      b: nd(Float64Array.of(0.1)),
      wide: nd(new Float64Array(1 << 13).fill(2)),
      none: nd(new Float32Array(0), 0, 5),
    };
    const frames = encode(ping, sent);
    const { tensors: described } = packr.unpack(frames[0]);
    assert.deepEqual(described, [
      { name: 'a', dtype: 'uint8', shape: [3], frame: 1, at: 0 },
      { name: 'large', dtype: 'float32', shape: [128, 128], frame: 2, at: 0 },
      { name: 'b', dtype: 'float64', shape: [1], frame: 1, at: 8 },
      { name: 'wide', dtype: 'float64', shape: [8192], frame: 3, at: 0 },
      { name: 'none', dtype: 'float32', shape: [0, 5], frame: 1, at: 16 },
    ]);
    assert.deepEqual(frames.map((frame) => frame.length).slice(1), [16, 1 << 16, 1 << 16]);
    assert.equal(frames[2].buffer, large.data.buffer, 'not copied');
    assert.equal(frames[1].toString('hex'), '0102030000000000' + '9a9999999999b93f');
    assertSame(read(frames), sent);
  });

  test('split data longer than a frame, and join it wherever it was split', () => {
    fc.assert(
      fc.property(tensors, fc.integer({ min: 1, max: 9 }), (sent, eighths) => {
        const frames = encode(ping, sent, 8 * eighths);
        assert.ok(frames.slice(1).every(({ length }) => length <= 8 * eighths));
        // A message may not have that many short frames: add an empty tensor for each.
        const { tensors: described } = packr.unpack(frames[0]);
        const more = Array.from({ length: frames.length }, (_, i) => [`more${i}`, nd(new Uint8Array(0))]);
        const all = { ...sent, ...Object.fromEntries(more) };
        assertSame(read(encode(ping, all, 8 * eighths)), all);
        assert.equal(described.length, Object.keys(sent).length);
      }),
      { numRuns: 200 },
    );
    const large = nd(Float64Array.from({ length: (3 * MAX_FRAME) / 8 + 5 }, (_, i) => i));
    const small = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`s${i}`, nd(new Uint8Array(60_001).fill(i))]),
    );
    const frames = encode(ping, { ...small, large });
    assert.ok(frames.every(({ length }) => length <= MAX_FRAME));
    assert.equal(frames[8].buffer, large.data.buffer, 'not copied');
    assertSame(read(frames), { ...small, large });
    malformed(frames.slice(0, -1), /tensor 30/);
    malformed([...frames.slice(0, -2), ...frames.slice(-1)], /tensor 30/);
  });

  test('read the output of other msgpack libraries', () => {
    // {"type":"ping","tensors":[]} as a small map, and as a map of 32-bit length with 8-bit strings.
    const small = hex('82 a474797065 a470696e67 a774656e736f7273 90');
    const wide = hex('df00000002 d90474797065 d90470696e67 d90774656e736f7273 dd00000000');
    for (const header of [small, wide]) assert.deepEqual(decode(fromWorker, [header]).header, ping);
    // Integers as (u)int64, as most libraries encode numbers above 2³².
    const [results] = FROM_WORKER.results;
    const wider = {
      ...results,
      round: 7n,
      memory: 6_000_000_000n,
      rowsRead: BigInt(2 ** 53 - 1),
      tensors: [],
    };
    const { header } = decode(fromWorker, [packr.pack(wider)]);
    assert.deepEqual(header, { ...results, round: 7, memory: 6e9, rowsRead: 2 ** 53 - 1 });
    malformed([packr.pack({ ...wider, memory: 2n ** 53n })], /memory/);
  });
});

test('the text of a malformed message is one line, whatever names the peer chose', () => {
  const [results] = FROM_WORKER.results;
  const seconds = { 'x\ndpmesh: all is well\x1b[2J': -1 };
  malformed(
    [packr.pack({ ...results, seconds, tensors: [] })],
    /^header: seconds\.x\ufffddpmesh: all is well\ufffd\[2J: /,
  );
});

describe('decode rejects', () => {
  const described = (over: object = {}) => ({
    name: 'x',
    dtype: 'float64',
    shape: [2],
    frame: 1,
    at: 0,
    ...over,
  });
  const frames = (...tensors: object[]) => [packr.pack({ ...ping, tensors }), Buffer.alloc(16)];

  test('a tensor outside of its frame', () => {
    assert.equal(read(frames(described())).x.data.length, 2);
    malformed(frames(described({ shape: [3] })), /tensor 0/);
    malformed(frames(described({ at: 8 })), /tensor 0/);
    malformed(frames(described({ at: 4, shape: [1] })), /tensor 0/);
    malformed(frames(described({ at: 24, shape: [0] })), /tensor 0/);
    malformed(frames(described({ frame: 2 })), /tensor 0/);
    malformed(frames(described({ frame: 0 })), /tensors/);
    malformed(frames(described({ frame: -1 })), /tensors/);
    malformed(frames(described({ at: -8 })), /tensors/);
    malformed(frames(described({ shape: [2 ** 31, 2 ** 31] })), /tensor 0/);
    malformed(frames(described({ shape: [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1] })), /tensor 0/);
  });

  test('an invalid description of a tensor', () => {
    for (const wrong of [
      { dtype: 'float16' },
      { dtype: 'int64' },
      { dtype: '__proto__' },
      { dtype: 0 },
      { shape: [-2] },
      { shape: [0.5] },
      { shape: [1, 1, 1, 1, 2] },
      { shape: 2 },
      { name: 'x'.repeat(65) },
      { name: 7 },
      { frame: 1.5 },
      { at: null },
    ])
      malformed(frames(described(wrong)), /^tensors: /);
    malformed([packr.pack(ping)], /^tensors: /);
    malformed([packr.pack({ ...ping, tensors: {} })], /^tensors: /);
    malformed(frames(null as unknown as object), /^tensors: /);
  });

  test('truncated and surplus frames', () => {
    const sent = { a: nd(Float32Array.of(1, 2)), large: nd(new Float64Array(1 << 13)) };
    const whole = encode(ping, sent);
    read(whole);
    malformed(whole.slice(0, 2), /tensor 1/);
    malformed(whole.slice(0, 1), /tensor 0/);
    malformed([whole[0], whole[1].subarray(0, 7), whole[2]], /tensor 1: overlaps others/);
    malformed([whole[0], whole[1], whole[2].subarray(1)], /tensor 1/);
    malformed([...whole, Buffer.alloc(0)], /3 frames for 2 tensors/);
    malformed([...encode(ping), Buffer.alloc(1)], /1 frames for 0 tensors/);
    malformed([], /no frames/);
  });

  test('messages that are too long, before decoding them', () => {
    malformed([Buffer.alloc(MAX_HEADER + 1)], /^header too long$/);
    malformed([Buffer.alloc(MAX_HEADER)], /^header/);
    const huge = { byteLength: MAX_MESSAGE } as Uint8Array;
    malformed([encode(ping)[0], huge], /^message too long: \d+ bytes in \d+ frames$/);
  });

  test('a header that is not a msgpack map', () => {
    const [header] = encode(ping);
    malformed([Buffer.alloc(0)], /not plain msgpack/);
    malformed([Buffer.from('{"type":"ping","tensors":[]}')], /^header/);
    malformed([Buffer.concat([header, Buffer.of(0)])], /not plain msgpack/);
    for (let length = 0; length < header.length; length++) malformed([header.subarray(0, length)], /^header/);
    for (const value of [null, 1, 'ping', [], ['ping'], true, new Date(0), new Map(), /x/, -0.5])
      malformed([packr.pack(value)], /^header/);
  });

  test('two tensors of the same name', () => {
    malformed(frames(described(), described({ at: 8, shape: [1] })), /tensor 1/);
  });

  test('random and mutated messages, only ever with a MalformedMessage', () => {
    const all = [FROM_WORKER, FROM_COORDINATOR].flatMap((messages) =>
      Object.values(messages).flat(),
    ) as object[];
    const valid = all.map((message) =>
      encode(message, { 'net/p0': nd(Float32Array.of(1, 2, 3, 4), 2, 2), 'net/p1': nd(Int32Array.of(5)) }),
    );
    const survives = (frames: Uint8Array[]) => {
      for (const schema of [fromWorker, fromCoordinator]) {
        try {
          decode<unknown>(schema as typeof fromWorker, frames);
        } catch (error) {
          if (!(error instanceof MalformedMessage)) throw error;
          assert.ok(error.message.length < 200);
        }
      }
    };
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 3 }), survives), {
      numRuns: 2000,
    });
    const change = fc.record({
      at: fc.nat(),
      byte: fc.integer({ min: 0, max: 255 }),
      kind: fc.constantFrom('set', 'cut', 'insert', 'drop'),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 9 }),
        ([header, ...rest], changes, dropped) => {
          let bytes = Buffer.from(header);
          for (const { at, byte, kind } of changes) {
            const i = at % (bytes.length || 1);
            if (kind === 'set') bytes[i] = byte;
            else if (kind === 'cut') bytes = bytes.subarray(0, i);
            else {
              const middle = kind === 'insert' ? [Buffer.of(byte)] : [];
              bytes = Buffer.concat([
                bytes.subarray(0, i),
                ...middle,
                bytes.subarray(kind === 'drop' ? i + 1 : i),
              ]);
            }
          }
          survives(dropped === 0 ? [bytes] : [bytes, ...rest]);
        },
      ),
      { numRuns: 2000 },
    );
    // Earlier messages do not affect how later ones are decoded.
    for (const [i, message] of all.entries()) {
      const schema = i < Object.values(FROM_WORKER).flat().length ? fromWorker : fromCoordinator;
      assert.deepEqual(decode<unknown>(schema as typeof fromWorker, valid[i]).header, message);
    }
  });
});

describe('names of built-in properties', () => {
  const strange = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'];

  test('are ordinary names for tensors', () => {
    for (const name of strange) {
      const sent: Tensors = Object.create(null);
      sent[name] = nd(Uint8Array.of(1));
      sent[`0/${name}`] = nd(Uint8Array.of(2));
      const tensors = read(encode(ping, sent));
      assert.deepEqual(Object.keys(tensors), [name, `0/${name}`]);
      assert.deepEqual([...take(tensors, name, 'uint8')], [1]);
      const own = unprefixed(tensors, 0);
      assert.deepEqual(Object.keys(own), [name]);
      assert.deepEqual([...take(own, name, 'uint8')], [2]);
    }
  });

  test('do not refer to tensors that were not sent', () => {
    const tensors = read(encode(ping, {}));
    for (const name of strange) {
      assert.equal(tensors[name], undefined);
      assert.throws(() => take(tensors, name, 'uint8'), /missing/);
      assert.throws(() => take(unprefixed(tensors, 0), name, 'uint8'), /missing/);
    }
  });

  test('do not change a prototype as keys of maps', () => {
    const before = Object.getOwnPropertyNames(Object.prototype).sort();
    const evil = (key: string) =>
      Buffer.concat([
        hex('83 a474797065 a470696e67 a774656e736f7273 90'),
        packr.pack(key),
        hex('81 a8706f6c6c75746564 c3'),
      ]);
    for (const key of strange) {
      try {
        const { header } = decode(fromWorker, [evil(key)]);
        assert.deepEqual(Object.keys(header), ['type']);
        assert.equal(Object.getPrototypeOf(header), Object.prototype);
      } catch (error) {
        assert.ok(error instanceof MalformedMessage);
      }
    }
    const seconds = JSON.parse('{"__proto__": 1, "constructor": 2}');
    const results = { ...FROM_WORKER.results[0], seconds };
    const { header } = decode(fromWorker, encode(results));
    assert.ok(header.type === 'results');
    assert.equal(typeof header.seconds, 'object');
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
    assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), before);
  });
});

describe('prefixes', () => {
  test('separate the tensors of several groups', () => {
    const [a, b] = [nd(Uint8Array.of(1)), nd(Uint8Array.of(2))];
    const all = prefixed([
      ['net', { p0: a, p1: b }],
      ['net-moments', { m0: b }],
      [1, { p0: b }],
      [10, { p0: a }],
    ]);
    assert.deepEqual(Object.keys(all), ['net/p0', 'net/p1', 'net-moments/m0', '1/p0', '10/p0']);
    assert.deepEqual({ ...unprefixed(all, 'net') }, { p0: a, p1: b });
    assert.deepEqual({ ...unprefixed(all, 1) }, { p0: b });
    assert.deepEqual({ ...unprefixed(all, 'ne') }, {});
  });
});

test('take: the array of this name, type and length, or an error that has the name', () => {
  const some = { x: nd(Float32Array.of(1, 2)) };
  assert.equal(take(some, 'x', 'float32', 2), some.x.data);
  assert.throws(() => take(some, 'x', 'float64'), /^TypeError: x is missing or not float64$/);
  assert.throws(() => take(some, 'y', 'float32'), /^TypeError: y is missing/);
  assert.throws(() => take(some, 'x', 'float32', 3), /^RangeError: x has 2 elements, not 3$/);
});
