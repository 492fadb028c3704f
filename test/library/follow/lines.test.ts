// Lines of standard input, cut into pieces that are files of their own.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { headerTest } from '../../../data/tables/open-table.ts';
import { PLAIN_TABLE } from '../../../data/tables/table-options.ts';
import { createLines } from '../../../library/follow/lines.ts';

/** Of a run with these columns. */
const named = (...columns: string[]) =>
  headerTest({ ...PLAIN_TABLE, columns: columns.length ? columns : null });

async function* chunked(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

/** All pieces, with their numbers of rows. */
async function pieces(input: AsyncIterable<Uint8Array>, rows: number, names: string[] = []) {
  const lines = createLines(input, { rows, every: 60, isHeaderRow: named(...names) });
  const found: [string, number][] = [];
  for (;;) {
    let text = '';
    const count = await lines.next((bytes) => {
      text += Buffer.from(bytes);
    });
    if (!count) return { found, ending: await lines.ending() };
    found.push([text, count]);
  }
}

describe('lines are cut into pieces', () => {
  test('of as many rows, wherever chunks end, the last one without a newline', async () => {
    const { found, ending } = await pieces(chunked('1,2\n3,', '4\n5,6', '\n7,8\n', '9,10'), 2);
    assert.deepEqual(found, [
      ['1,2\n3,4\n', 2],
      ['5,6\n7,8\n', 2],
      ['9,10\n', 1],
    ]);
    assert.equal(ending, 'csv');
  });
  test('each with the header, if the first line has a name of the run', async () => {
    const { found } = await pieces(chunked('"x";y\n1;2\n', '3;4\n5;6\n'), 2, ['x', 'y']);
    assert.deepEqual(found, [
      ['"x";y\n1;2\n3;4\n', 2],
      ['"x";y\n5;6\n', 1],
    ]);
    const headless = await pieces(chunked('1;2\n3;4\n'), 1, ['x', 'y']);
    assert.deepEqual(headless.found, [
      ['1;2\n', 1],
      ['3;4\n', 1],
    ]);
  });
  test('each with the header, which of columns without names is a line that is not of numbers', async () => {
    const { found } = await pieces(chunked('x,y\n1,2\n3,4\n5,6\n'), 2);
    assert.deepEqual(found, [
      ['x,y\n1,2\n3,4\n', 2],
      ['x,y\n5,6\n', 1],
    ]);
  });
  test('each with the header as the reader of files tells it: between blanks, after a line that says the separator, and no row of numbers', async () => {
    const headers: [string, string[], string][] = [
      ['b a\n', ['a', 'b'], ' '],
      ['sep=~\nb~a\n', ['a', 'b'], '~'],
      ['', [], ' '],
      ['"a,b";c\n', ['a,b'], ';'],
    ];
    for (const [header, names, by] of headers) {
      const row = (i: number) => `${i}${by}${i}.5\n`;
      const { found } = await pieces(chunked(`${header}${row(1)}${row(2)}${row(3)}`), 2, names);
      assert.deepEqual(
        found,
        [
          [`${header}${row(1)}${row(2)}`, 2],
          [`${header}${row(3)}`, 1],
        ],
        header,
      );
    }
    const missing = await pieces(chunked('nan,1\n2,3\n4,5\n'), 1);
    assert.deepEqual(
      missing.found.map(([text]) => text),
      ['nan,1\n', '2,3\n', '4,5\n'],
    );
  });
  test('not within quotes, and empty lines are no rows', async () => {
    const { found } = await pieces(chunked('1,"a\nb"\n\n', ' \n2,"c ""\n"\n3,d\n'), 2, ['a']);
    assert.deepEqual(found, [
      ['1,"a\nb"\n\n \n2,"c ""\n"\n', 2],
      ['3,d\n', 1],
    ]);
  });
  test('of JSON, whose quotes end in their lines', async () => {
    const { found, ending } = await pieces(chunked('\n {"a": "x\\""}\n{"a": "y"}\n'), 1, ['a']);
    assert.equal(ending, 'jsonl');
    assert.deepEqual(
      found.map(([, count]) => count),
      [1, 1],
    );
  });
  test('that end with carriage returns, alone or before newlines, wherever chunks end', async () => {
    const text = 'x,y\r\n1,2\r\n3,4\r5,6\n\r\n7,8\r\n9,"a\r\nb"\r10,11';
    const expected = [
      ['x,y\r\n1,2\r\n3,4\r', 2],
      ['x,y\r\n5,6\n\r\n7,8\r\n', 2],
      ['x,y\r\n9,"a\r\nb"\r10,11\n', 2],
    ];
    assert.deepEqual((await pieces(chunked(text), 2, ['x'])).found, expected);
    const { found } = await pieces(chunked(...text), 2, ['x']);
    // A newline that came late is not with its carriage return.
    const withoutBreaks = (all: unknown[][]) =>
      all.map(([own, count]) => [
        String(own)
          .split(/[\r\n]+/)
          .filter(Boolean),
        count,
      ]);
    assert.deepEqual(withoutBreaks(found), withoutBreaks(expected));
    const rows = Array.from({ length: 300 }, (_, i) => `${i},${i}`);
    const old = await pieces(chunked(`x,y\r${rows.join('\r')}`), 1000, ['x']);
    assert.deepEqual(
      old.found.map(([, count]) => count),
      [300],
    );
  });
  test('with quotes that are part of a text', async () => {
    const stray = await pieces(chunked('1,2\n3,4"5\n6,7"\n"8" x,9\n'), 1);
    assert.deepEqual(
      stray.found.map(([text]) => text),
      ['1,2\n', '3,4"5\n', '6,7"\n', '"8" x,9\n'],
    );
    const odd = await pieces(chunked('1.5, "a\n""b" ,2\n"x" "y\nz" 3\n"";4\n'), 1, ['q']);
    assert.deepEqual(
      odd.found.map(([text]) => text),
      ['1.5, "a\n""b" ,2\n', '"x" "y\nz" 3\n', '"";4\n'],
    );
    const lines = createLines(chunked('1:"a\nb"\n2:c\n'), {
      rows: 1,
      every: 60,
      isHeaderRow: named('q'),
      separator: ':',
    });
    assert.equal(
      await lines.next((bytes) => assert.equal(String(bytes), bytes.length ? '1:"a\nb"\n' : '')),
      1,
    );
  });
  test('without the mark at the beginning, which is no part of a name', async () => {
    const { found } = await pieces(chunked('\ufeffx\n1\n2\n'), 1, ['x']);
    assert.deepEqual(
      found.map(([text]) => text),
      ['x\n1\n', 'x\n2\n'],
    );
  });
  test('but not of UTF-16, which is told from its first bytes', async () => {
    for (const text of ['x,y\n1,2\n', '\ufeffx,y\n1,2\n', '\ufeff日,本\n', '{"x":1}\n'])
      for (const isBig of [false, true]) {
        const bytes = Buffer.from(text, 'utf16le');
        const input = [isBig ? bytes.swap16() : bytes];
        await assert.rejects(
          createLines(Readable.from(input), { rows: 1, every: 60, isHeaderRow: named('x') }).ending(),
          /^UserError: standard input is UTF-16, and must be UTF-8: convert it, as with iconv /,
        );
      }
  });
  test('and lines of a piece are those of the input', async () => {
    const lines = createLines(chunked('\n"x\ny",z\n1,2\n\n3,"4\n', '5"\n6,7\n8,"9'), {
      ...{ rows: 2, every: 60, isHeaderRow: named('z') },
    });
    await lines.next(() => {});
    assert.deepEqual([1, 4, 5, 6, 7].map(lines.lineOf!), [1, 4, 5, 6, 7]);
    await assert.rejects(
      lines.next(() => {}),
      /standard input line 9 has a quote that does not close to the end/,
    );
    const second = createLines(chunked('x,y\n1,2\n3,4\n5,6\n7,8\n'), {
      rows: 2,
      every: 60,
      isHeaderRow: named('x'),
    });
    await second.next(() => {});
    await second.next(() => {});
    assert.deepEqual([1, 2, 3].map(second.lineOf!), [1, 4, 5]);
  });
  test('of none', async () => {
    assert.deepEqual(await pieces(chunked(), 2), { found: [], ending: null });
    assert.deepEqual(await pieces(chunked('\n \n'), 2), { found: [], ending: null });
  });
});

test('fewer rows are a piece after some time, without the line that is not complete', async () => {
  async function* slow() {
    yield Buffer.from('1\n2\n3');
    await sleep(400);
    yield Buffer.from('4\n');
  }
  const lines = createLines(slow(), { rows: 10, every: 0.05, isHeaderRow: named() });
  const texts: string[] = [];
  while (await lines.next((bytes) => void texts.push(Buffer.from(bytes).toString())));
  assert.deepEqual(texts.filter(Boolean), ['1\n2\n', '34\n']);
});

test('an end that is asked for gives the complete lines', async () => {
  const stop = new AbortController();
  async function* endless() {
    yield Buffer.from('1\n2\n3');
    stop.abort();
    await new Promise(() => {});
  }
  const lines = createLines(endless(), { rows: 10, every: 60, isHeaderRow: named(), signal: stop.signal });
  let text = '';
  const write = (bytes: Uint8Array) => {
    text += Buffer.from(bytes);
  };
  assert.deepEqual([await lines.next(write), text], [2, '1\n2\n']);
  assert.equal(await lines.next(write), 0);
});

test('bytes that are no text, and lines without end, are refused', async () => {
  const next = (input: AsyncIterable<Uint8Array>) =>
    createLines(input, { rows: 1, every: 1, isHeaderRow: named() }).next(() => {});
  await assert.rejects(next(chunked('\x93NUMPY\x01\x00')), /binary/);
  async function* endless() {
    for (;;) yield Buffer.alloc(16 << 20, '1');
  }
  await assert.rejects(next(endless()), /a line of more than 67108864 bytes/);
});

test('a quote that does not close is an error at the end of the input, or after some bytes', async () => {
  const rows = Array.from({ length: 300 }, (_, i) => (i === 9 ? `"${i},1` : `${i},1`));
  await assert.rejects(pieces(chunked(`x,y\n${rows.join('\n')}`), 100, ['x']), /line 11 has a quote/);
  async function* endless() {
    yield Buffer.from('1,"');
    for (;;) yield Buffer.from('2,3\n'.repeat(1 << 14));
  }
  await assert.rejects(pieces(endless(), 10), /line 1 has a quote that does not close in 4194304 bytes/);
});

test('a long line that comes in many chunks is looked at once', async () => {
  const bytes = 1 << 24;
  async function* long() {
    for (let at = 0; at < bytes; at += 1 << 10) yield Buffer.alloc(1 << 10, '1');
    yield Buffer.from('\n');
  }
  const before = process.cpuUsage();
  const [[text]] = (await pieces(long(), 1)).found;
  const looked = process.cpuUsage(before).user / 1e6;
  assert.equal(text.length, bytes + 1);
  // Looked at from its start with each chunk, it would take minutes.
  assert.ok(looked < 10, `${looked} s`);
});
