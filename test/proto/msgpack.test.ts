// What reaches the decoder.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { decode, encode, MAX_DEPTH, MAX_VALUES, MalformedMessage, whyNotPlain } from '../../proto/codec.ts';
import { fromWorker } from '../../proto/messages.ts';

const packr = new Packr({ useRecords: false });
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');
const text = (word: string) => Buffer.concat([Buffer.of(0xa0 | word.length), Buffer.from(word)]);

test('accepts plain values of all types and lengths, but nothing truncated or longer', () => {
  const long = [300, 70_000].flatMap((length) => [
    'x'.repeat(length),
    Array(length).fill(0),
    Object.fromEntries([...Array(Math.min(length, 65_000)).keys()].map((i) => [`k${i}`, null])),
  ]);
  const numbers = [
    0,
    -1,
    -33,
    200,
    2 ** 16,
    -(2 ** 15),
    2 ** 32,
    -(2 ** 31),
    2 ** 40,
    1.5,
    2n ** 63n,
    -(2n ** 40n),
  ];
  for (const value of [null, true, false, '', 'ä'.repeat(40), [], {}, ...numbers, ...long]) {
    const bytes = packr.pack(value);
    assert.equal(whyNotPlain(bytes), null);
    assert.notEqual(whyNotPlain(bytes.subarray(0, -1)), null);
    assert.match(whyNotPlain(Buffer.concat([bytes, Buffer.of(0)])) ?? '', /truncated/);
  }
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.equal(whyNotPlain(packr.pack(value)), null);
    }),
  );
});

test('accepts random bytes only if the decoder reads them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      if (whyNotPlain(bytes)) return;
      packr.unpack(bytes);
    }),
    { numRuns: 20_000 },
  );
});

test('keys of maps must be text, at every level', () => {
  for (const key of ['00', 'ff', 'c0', 'c3', 'cb3ff0000000000000', '80', '90', '81a17800', '91a178']) {
    assert.match(whyNotPlain(hex(`81 ${key} 00`)) ?? '', /not text/, key);
    assert.match(whyNotPlain(hex(`82 a178 00 ${key} 00`)) ?? '', /not text/, key);
    assert.match(whyNotPlain(hex(`91 de0001 ${key} 00`)) ?? '', /not text/, key);
    assert.match(whyNotPlain(hex(`81 a178 df00000001 ${key} 00`)) ?? '', /not text/, key);
  }
  for (const text of ['a0', 'a178', 'd90178', 'da000178', 'db0000000178'])
    assert.equal(whyNotPlain(hex(`82 ${text} 91${text} a179 81${text}00`)), null, text);
});

test('rejects extensions, binary data and unused tokens', () => {
  for (const [token, rest] of [
    ['c1', ''],
    ['c4', '0100'],
    ['c5', '000100'],
    ['c6', '0000000100'],
    ['c7', '01ff00'],
    ['c8', '0001ff00'],
    ['c9', '00000001ff00'],
    ['d4', '7200'],
    ['d5', '780000'],
    ['d6', '6900000001'],
    ['d7', 'ff0000000000000000'],
    ['d8', `78${'00'.repeat(16)}`],
  ])
    assert.match(whyNotPlain(hex(token + rest)) ?? '', /^(an extension|an unused type)/, token);
});

test('limits depth and number of values, wherever in a list or map the next one is', () => {
  for (const [level, end] of [
    ['91', ''],
    ['9201', ''],
    ['81a178', ''],
    ['92', '01'],
  ]) {
    const nested = (depth: number) => hex(`${level.repeat(depth)}90${end.repeat(depth)}`);
    assert.equal(whyNotPlain(nested(MAX_DEPTH - 1)), null, level);
    assert.equal(whyNotPlain(nested(MAX_DEPTH)), 'nested too deeply', level);
    assert.equal(whyNotPlain(nested(100_000)), 'nested too deeply', level);
  }
  const list = (length: number) => Buffer.concat([hex('dd'), u32(length), Buffer.alloc(length)]);
  assert.equal(whyNotPlain(list(MAX_VALUES - 1)), null);
  assert.equal(whyNotPlain(list(MAX_VALUES)), 'too many values');
  // Claimed lengths count.
  assert.equal(whyNotPlain(Buffer.concat(Array(40).fill(hex('dd000fffff')))), 'too many values');
});

test('does not expand references, or create regular expressions or records', () => {
  const id = (n: number) => Buffer.concat([hex('d669'), u32(n)]);
  const ref = (n: number) => Buffer.concat([hex('d670'), u32(n)]);
  const many = (head: Buffer, ref: Buffer) =>
    Buffer.concat([hex('dd'), u32(1000), head, ...Array(999).fill(ref)]);
  const unit = packr.pack({ shard: 0, from: 0, to: 0 });
  const bomb = many(Buffer.concat([id(1), many(Buffer.concat([id(2), unit]), ref(2))]), ref(1));
  const results = encode({
    type: 'results',
    term: 1,
    round: 1,
    done: 0,
    seconds: {},
    rowsRead: 0,
    memory: 0,
  })[0];
  const at = results.indexOf(Buffer.concat([text('done'), Buffer.of(0)])) + 5;
  const begun = performance.now();
  const record = Buffer.concat([
    hex('93 d4 72 40 92'),
    text('a'),
    text('constructor'),
    hex('01 02 40 01 02'),
  ]);
  const regExp = Buffer.concat([hex('c7 08 78 92'), text('(a+)+'), text('g')]);
  const made: unknown[] = [];
  const { Function: before, RegExp: regular } = globalThis;
  const watch = <F extends FunctionConstructor | RegExpConstructor>(of: F) =>
    new Proxy(of, {
      construct(target, args) {
        made.push(args);
        return Reflect.construct(target as FunctionConstructor, args);
      },
    });
  try {
    Object.assign(globalThis, { Function: watch(before), RegExp: watch(regular) });
    for (const value of [bomb, record, regExp])
      assert.throws(
        () => decode(fromWorker, [Buffer.concat([results.subarray(0, at), value, results.subarray(at + 1)])]),
        MalformedMessage,
      );
  } finally {
    Object.assign(globalThis, { Function: before, RegExp: regular });
  }
  assert.deepEqual(made, []);
  assert.ok(performance.now() - begun < 200);
});

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
