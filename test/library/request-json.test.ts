// The JSON of requests to `serve`, from those who may mean harm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRequestJson } from '../../library/serve/request-json.ts';

const MIB = 1 << 20;

/** What is asked for, and the numbers of each list. */
async function read(text: string | Buffer, columns = 2) {
  let taken = 0;
  const { content, lists } = await readRequestJson(Buffer.from(text), columns, (bytes) => {
    taken += bytes;
  });
  const numbers = lists.map(({ pieces, count, sent }) => {
    const all = pieces.flatMap((piece) => Array.from(piece));
    assert.equal(all.length, count);
    for (const at of all.length ? [0, all.length >> 1, all.length - 1] : [])
      assert.equal(Math.fround(sent(at)), all[at]);
    return all;
  });
  assert.equal(taken, 4 * numbers.flat().length);
  return { content, numbers };
}
const data = (list: string) => `{"inputs":[{"data":${list}}]}`;

test('lists called data are read as numbers, where requests have them', async () => {
  for (const list of ['[1,2,3,4]', '[[1,2],[3,4]]', ' [ [ 1 ,\n2] ,\t[3,4 ]\r ] '])
    assert.deepEqual(await read(data(list)), {
      content: { inputs: [{ data: [0] }] },
      numbers: [[1, 2, 3, 4]],
    });
  const cases: [text: string, content: unknown, ...numbers: number[][]][] = [
    [data('[]'), { inputs: [{ data: [0] }] }, []],
    [
      data('[-1.5e3,0.1]').replace('data', '\\u0064\\u0061t\\u0061'),
      { inputs: [{ data: [0] }] },
      [-1500, Math.fround(0.1)],
    ],
    // The last one counts, as for JSON.parse.
    [data('[1],"data":[2]'), { inputs: [{ data: [1] }] }, [1], [2]],
    [data('[1],"data":"x"'), { inputs: [{ data: 'x' }] }, [1]],
    ['{"data":[0],"a":"\\"data\\":[1]","b":{"data":[2]}}', { data: [0], a: '"data":[1]', b: { data: [2] } }],
    ['[[["data",[3]]]]', [[['data', [3]]]]],
  ];
  for (const [text, content, ...numbers] of cases)
    assert.deepEqual(await read(text), { content, numbers }, text);
});

test('long lists are read in pieces: of numbers, of rows, and of rows of many columns', async () => {
  const values = Array.from({ length: 60_000 }, (_, i) => Math.fround(Math.sin(i)));
  const rows = (columns: number) =>
    Array.from({ length: values.length / columns }, (_, i) => values.slice(i * columns, (i + 1) * columns));
  for (const [list, columns] of [
    [values, 2],
    [rows(2), 2],
    [rows(600), 600],
    [rows(10_000), 10_000],
  ] as const)
    for (const text of [JSON.stringify(list), JSON.stringify(list, null, 1)])
      assert.deepEqual((await read(data(text), columns)).numbers, [values]);
});

test('what else is in the place of numbers is refused', async () => {
  const cases: [list: string, says: RegExp][] = [
    ['[1,"2"]', /value 1 \(counted from 0\) is not a number/],
    ['[1,2,null]', /value 2 \(counted from 0\) is not a number/],
    ['[[1,2],[3,{}]]', /value 3 \(counted from 0\) is not a number/],
    ['[[1,2],[3]]', /a row has 1 numbers, and must have 2/],
    ['[[]]', /a row has 0 numbers/],
    ...[
      '[,1]',
      '[1,]',
      '[1,,2]',
      '[[1,2],]',
      '[[1,2],3]',
      '[[1,2][1,2]]',
      '[1 2]',
      '[01]',
      '[NaN]',
      '[[[1,2]]]',
      '["]"]',
      '[1,[2]]',
      '[\u00a01]',
    ].map(
      (list) =>
        [list, /at value \d \(counted from 0\) or after it there is something other than numbers/] as [
          string,
          RegExp,
        ],
    ),
  ];
  const pad = `${'1,'.repeat(100_000)}`;
  for (const [list, says] of cases) {
    await assert.rejects(read(data(list)), says, list);
    // In a later piece.
    if (!/^\[[[,\]]/.test(list)) await assert.rejects(read(data(`[${pad}${list.slice(1)}`)), /data: /, list);
  }
  for (const end of ['', ',', ' ', '[', '"', '-']) {
    await assert.rejects(read(`{"inputs":[{"data":[${pad}1${end}`), /other than numbers|not JSON/, end);
    await assert.rejects(read(`{"inputs":[{"data":[[1,2]${end}`), /other than numbers|not JSON/, end);
  }
  for (const text of [data('[1]]'), '{"inputs":', '', '\u0000', '{"a":"\\"}', '}', ']]]{{{'])
    await assert.rejects(read(text), /not JSON/, text);
});

test('16 MiB of anything are refused before they cost much', async () => {
  const most = 16 * MIB;
  const fill = (head: string, unit: string) => Buffer.concat([Buffer.from(head), Buffer.alloc(most, unit)]);
  const bombs = [
    '{},',
    '[],',
    '-1,',
    '1,',
    '"",',
    '[',
    '{"a":',
    '[[],',
    '"a":1,',
    '"\\u0041\\"",',
    '\\',
    ' ',
    '1',
    '\xff',
    '{"data":[1]},',
  ];
  const before = process.cpuUsage().user;
  for (const unit of bombs)
    for (const head of [
      '',
      '{"inputs":[',
      '{"id":"',
      '{"inputs":[{"shape":[',
      '{"inputs":[{"data":[',
      '{"inputs":[{"data":[[',
      '{"inputs":[{"data":["',
    ]) {
      // A list of numbers is none of them.
      if (/data":\[$/.test(head) && /^-?1/.test(unit) && unit !== '1') continue;
      await assert.rejects(
        read(fill(head, unit)),
        (error: { statusCode?: number }) => [400, 413].includes(error.statusCode!),
        `${head}${unit}`,
      );
    }
  const seconds = (process.cpuUsage().user - before) / 1e6;
  assert.ok(seconds < 20, `${seconds} s`);
  // Lists of numbers, of which a request needs one.
  await assert.rejects(read(`{"inputs":[{${'"data":[1],'.repeat(1000)}"data":[1]}]}`), /too many values/);
});
