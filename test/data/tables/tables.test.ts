import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { openSource } from '../../../data/open.ts';
import { categoriesSchema, PLAIN_TABLE, type TableOptions } from '../../../data/tables/table-options.ts';
import { rowTexts } from '../../../data/texts/texts.ts';
import { readLabels } from '../../../run/labels.ts';
import { refuses, scratchFolder } from '../files.ts';

/** Files of pandas, pyarrow and zstandard: see make_fixtures.py. */
const fixtures: Record<string, string> = JSON.parse(
  readFileSync(new URL('fixtures.json', import.meta.url), 'utf8'),
);
const { folder, put } = scratchFolder();
const fixture = (name: string) => put(name, Buffer.from(fixtures[name], 'base64'));

const rows = [0.5, 1.25, -3, 2, -0.125, 1e10, 3, 7, 9, -1.5, Math.fround(0.1), 0];

async function read(path: string, options: Partial<TableOptions> = {}) {
  const source = await openSource(path, { table: { ...PLAIN_TABLE, ...options } });
  const values = [...(await source.read(0, source.rows))];
  source.close();
  return { dim: source.dim, values, names: source.names ?? null, ...source.table! };
}

async function texts(path: string, column: string, options: Partial<TableOptions> = {}): Promise<string[]> {
  const source = await openSource(path, { table: { ...PLAIN_TABLE, ...options } });
  const all: string[] = [];
  for await (const slice of source.texts!(column)) all.push(...slice);
  source.close();
  return all;
}

describe('tables of other libraries', () => {
  for (const name of [
    ...['wide.parquet', 'double.parquet', 'wide.feather', 'zstd.feather', 'plain.feather'],
    ...['x.csv.gz', 'x.csv.zst', 'x.jsonl', 'x.jsonl.gz', 'x.json', 'indexed.csv'],
  ])
    test(name, async () => {
      const { values, names } = await read(fixture(name));
      assert.deepEqual(values, rows);
      assert.deepEqual(names, ['a', 'b', 'c']);
    });

  for (const format of ['parquet', 'feather']) {
    test(`lists: ${format}`, async () => {
      const fixed = fixture(`fixed.${format}`);
      const { values, names } = await read(fixed, { columns: ['embedding'] });
      assert.deepEqual(values, rows);
      assert.deepEqual(names, ['embedding[1]', 'embedding[2]', 'embedding[3]']);
      assert.deepEqual((await read(fixture(`variable.${format}`))).values, rows);
      const says = 'column 2 (embedding) has lists of 3 numbers: --columns embedding clusters by it';
      await refuses(() => read(fixed), `${says}; --id id names the rows (text in column 1 (id) cannot`);
      await refuses(() => read(fixed, { id: 'id' }), says);
      await refuses(() => read(fixed, { columns: ['embedding'], text: 'label' }), '--text', 'not text, in');
      assert.deepEqual(await texts(fixed, 'id', { columns: ['embedding'] }), [
        'first',
        'second "2"',
        "it's",
        'ü\n',
      ]);
      assert.deepEqual([...(await readLabels(`${fixed}:label`)).codes], [1, 0, 1, 1]);
    });

    test(`types: ${format}`, async () => {
      assert.deepEqual((await read(fixture(`types.${format}`))).values, [1, 3, 1, 5, 2, 4, 0, 6]);
      const category = await read(fixture(`category.${format}`), { categorical: ['colour'] });
      assert.deepEqual(category.values, [1, 0, 2, 1, 3, 0]);
      assert.deepEqual(category.names, ['a', 'colour=blue']);
      await refuses(
        () => read(fixture(`date.${format}`)),
        'has dates in column 2 (when), which cannot be clustered',
      );
      await refuses(() => read(fixture(`nested.${format}`)), 'column 2 (s), which cannot be clustered');
    });

    test(`bad values: ${format}`, async () => {
      await refuses(() => read(fixture(`lengths.${format}`)), 'row 1', 'has 1 numbers, the first one 2');
      await refuses(() => read(fixture(`null-inside.${format}`)), 'row 1 (counted from 0), column e[2]');
      await refuses(() => read(fixture(`null-list.${format}`)), 'row 1 (counted from 0), column e[1]');
      await refuses(() => read(fixture(`wide-int.${format}`)), 'row 1', 'beyond 2^53');
      await refuses(() => read(fixture(`null.${format}`)), 'row 1', 'column a', '--impute mean or median');
      await refuses(() => read(fixture(`infinite.${format}`)), 'row 1', 'is infinite');
      await refuses(() => read(fixture(`empty.${format}`)), 'no rows');
    });

    test(`a damaged file: ${format}`, async () => {
      const bytes = Buffer.from(fixtures[`wide.${format}`], 'base64');
      await refuses(
        () => read(put(`cut.${format}`, bytes.subarray(0, bytes.length - 40))),
        format === 'parquet'
          ? 'cut.parquet is incomplete (no Parquet footer): copy it again'
          : 'cut.feather cannot be read as',
      );
      await refuses(() => read(put(`other.${format}`, 'a,b\n1,2\n')), 'does not begin with');
      const zeroed = Buffer.from(bytes).fill(0xff, bytes.length - 300, bytes.length - 20);
      await refuses(() => read(put(`zeroed.${format}`, zeroed)), `zeroed.${format}`);
    });
  }

  test('names the line of malformed JSON', async () => {
    const line = '{"a":1,"b":2}';
    await assert.rejects(read(put('second.jsonl', `${line}\nno\n${line}\n`)), /in line 2: /);
    await assert.rejects(read(put('third.json', `[${line},\n${line},\nno]`)), /in record\/value 3: /);
  });

  test('lists of JSON lines', async () =>
    assert.deepEqual((await read(fixture('lists.jsonl'), { text: 'text' })).values, rows));
  test('JSON lines have text that looks like a date, and all columns that cannot be used are named at once', async () => {
    const line = '{"day":"2026-01-02","at":"2026-01-02T03:04:05","place":{"x":1},"a":1}';
    const path = put('dates.jsonl', `${line}\n${line.replace('"a":1', '"a":2')}\n`);
    await refuses(() => read(path), 'dates in columns 1 (day), 2 (at), and struct', '--drop day,at,place');
    assert.deepEqual(await texts(path, 'at', { id: 'at', drop: ['day', 'place'] }), [
      '2026-01-02T03:04:05',
      '2026-01-02T03:04:05',
    ]);
  });
});

describe('missing values', () => {
  const table = () => put('missing.csv', 'a,b\n1,5\n,6\n3,NA\n8,8\n');
  test('are an error that names what to do', () =>
    refuses(() => read(table()), 'missing.csv line 3, column a: "" is a missing value'));
  test('become the mean or the median of their column', async () => {
    const mean = await read(table(), { impute: 'mean' });
    assert.deepEqual(mean.values, [1, 5, 4, 6, 3, Math.fround(19 / 3), 8, 8]);
    assert.deepEqual(mean.fill, [4, Math.fround(19 / 3)]);
    const median = await read(table(), { impute: 'median' });
    assert.deepEqual(median.values, [1, 5, 3, 6, 3, 6, 8, 8]);
    assert.match(median.filled!, /2 missing values are filled with the medians: a 1, b 1$/);
    assert.equal((await read(put('whole.csv', 'a,b\n1,2\n'), { impute: 'mean' })).filled, null);
  });
  test('or their rows are left out, also of labels and names', async () => {
    const path = put('dropped.csv', 'a,id,class\n1,p,x\n,q,y\n3,r,y\n');
    const options = { impute: 'drop', id: 'id', label: 'class' } as const;
    const { values, dropped, note } = await read(path, options);
    assert.deepEqual([values, dropped], [[1, 3], [1]]);
    assert.match(note!, /1 row with missing values is left out/);
    assert.deepEqual(await texts(path, 'id', options), ['p', 'r']);
    assert.deepEqual([...(await readLabels(`${path}:class`, { dropped })).codes], [0, 1]);
  });
  test('of new rows become those of the run', async () => {
    const trained = { names: ['a', 'b'], width: 2, run: 'r', fill: [10, 20] };
    const { values, filled, note } = await read(put('new.csv', 'b,x,a\n,t,1\n2,u,\n,v,\n'), {
      ...{ impute: 'mean', trained },
    });
    assert.deepEqual(values, [1, 20, 10, 2, 10, 20]);
    assert.match(filled!, /4 missing values are filled with the means of the run r: a 2, b 2$/);
    assert.match(note!, /rows without any value, which are filled in whole: 1, the first is row 2/);
  });
  test('of new rows are an error where the run filled none', async () => {
    const trained = { names: ['a', 'b'], width: 2, run: 'r', fill: null };
    await refuses(
      () => read(table(), { trained }),
      'line 3, column a: "" is a missing value, and the run r fills none: fill it or remove the row',
      'if the run was trained with --impute median',
    );
  });
  test('in every row, or a whole column', async () => {
    const whole = put('whole.csv', 'a,b,c\n1,,2\n,,3\n');
    for (const impute of [null, 'mean', 'median', 'drop'] as const)
      await refuses(() => read(whole, { impute }), 'no value in column b: leave it out with --drop b');
    await refuses(
      () => read(whole, { columns: ['c', 'b'] }),
      'no value in column b: leave it out of --columns',
    );
    await refuses(() => read(put('all.csv', 'a,b\n,1\n,2\n'), { impute: 'mean' }), 'no value in column a');
    await refuses(
      () => read(put('every.csv', 'a,b\n,1\n2,\n'), { impute: 'drop' }),
      'missing values in every row',
    );
  });
});

describe('columns', () => {
  const table = () => put('t.csv', 'id,emb1,emb2,age,kind\nr1,1,2,3,x\nr2,4,5,6,y\n');
  test('by name, pattern and number, in the order given', async () => {
    assert.deepEqual((await read(table(), { columns: ['age', 'emb*'] })).names, ['age', 'emb1', 'emb2']);
    assert.deepEqual((await read(table(), { columns: ['2', 'age'] })).values, [1, 3, 4, 6]);
    assert.deepEqual(
      (await read(table(), { drop: ['kind', 'emb*'], categorical: ['kind'], id: 'id' })).values,
      [3, 6],
    );
    assert.deepEqual((await read(table(), { id: 'id', label: 'kind' })).names, ['emb1', 'emb2', 'age']);
  });
  test('of one name in Parquet are said, as are others that are renamed', async () => {
    const columnData = ['a', 'b', 'a', 'B'].map((name, i) => ({ name, data: Float64Array.of(i, i + 1) }));
    const { names, note } = await read(put('same.parquet', Buffer.from(parquetWriteBuffer({ columnData }))));
    assert.deepEqual(names, ['a', 'b', 'a_1', 'B_1']);
    assert.match(note!, /column 3, a, is called a_1, column 4, B, is called B_1, as another has its name$/);
  });
  test('that do not exist', async () => {
    await refuses(() => read(table(), { columns: ['agee'] }), 'no column agee; did you mean age?');
    await refuses(() => read(table(), { drop: ['x*'] }), '--drop', 'no column like x*');
    await refuses(() => read(table(), { id: 'ID9' }), '--id', 'no column ID9');
    await refuses(() => read(table(), { drop: ['*'] }), 'no column left to cluster by');
  });
  test('of text are all named at once, with what can be done', async () => {
    const region = (i: number) => (i % 2 ? 'north' : 'south');
    const lines = Array.from({ length: 40 }, (_, i) => `c${i},${i},${region(i)},so ${i}`);
    const path = put('people.csv', `customer_id,age,region,comment\n${lines.join('\n')}\n`);
    const { message } = await read(path).catch((error) => error);
    assert.equal(
      message.replace(path, 'x'),
      'x has text in columns 1 (customer_id), 3 (region), 4 (comment), which cannot be clustered: leave out with --drop customer_id,region,comment, or keep with --id customer_id and --text comment; --categorical region clusters by its categories',
    );
    await refuses(
      () => read(path, { columns: ['age', 'region'] }),
      'leave it out of --columns, or cluster by its categories with --categorical region',
    );
    await refuses(
      () => read(path, { columns: ['age', 'comment'] }),
      'column 4 (comment), which cannot be clustered: leave it out of --columns',
    );
    await refuses(
      () => read(path, { id: 'customer_id', text: 'age' }),
      '--text',
      'not text, in column 2 (age)',
    );
    // Never what would leave nothing.
    for (const [name, lines, ...says] of [
      ['hello.txt', 'hello\nworld\n', 'text in column 1', 'and no numbers: add columns of numbers'],
      [
        'two.csv',
        `who,kind\n${Array.from({ length: 40 }, (_, i) => `w${i},${region(i)}`).join('\n')}\n`,
        '--categorical 2 --drop 1, or add columns',
      ],
    ] as const) {
      const { message } = await read(put(name, lines)).catch((error) => error);
      for (const part of says) assert.ok(message.includes(part), message);
      assert.doesNotMatch(message, /leave out with/);
    }
    await refuses(() => read(path, { columns: ['comment'] }), 'name columns of numbers with --columns');
    await refuses(
      () => read(put('void.csv', 'a,b\n,\n,\n'), { impute: 'mean' }),
      'nothing to fill them with',
    );
    const dates = put(
      'dates.jsonl',
      '{"who":"a b","on":"2024-01-02","x":1}\n{"who":"c","on":"2024-01-03","x":2}\n',
    );
    await refuses(
      () => read(dates),
      'text in column 1 (who), and dates in column 2 (on), which cannot be clustered',
    );
  });
  test('categories become columns of 0 and 1, the first left out', async () => {
    const options = { drop: ['id', 'emb*'], categorical: ['kind'] };
    const { values, names, categories } = await read(table(), options);
    assert.deepEqual([values, names, categories], [[3, 0, 6, 1], ['age', 'kind=y'], { kind: ['x', 'y'] }]);
    const trained = { names, width: 2, run: 'r', categories };
    assert.deepEqual(
      (await read(put('k.csv', 'kind,age\ny,1\nx,2\n'), { ...options, trained })).values,
      [1, 1, 2, 0],
    );
    await refuses(
      () => read(put('z.csv', 'kind,age\nz,1\nx,2\n'), { ...options, trained }),
      'column kind: "z" is none of the categories of the run (x, y)',
    );
  });
  test('the most frequent category is left out, and many are worth a warning', async () => {
    const path = put('base.csv', 'x,kind\n1,b\n2,\n3,c\n4,c\n');
    const { names, values, categories, note } = await read(path, { categorical: ['kind'] });
    assert.deepEqual([names, categories], [['x', 'kind=', 'kind=b'], { kind: ['c', '', 'b'] }]);
    assert.deepEqual(values, [1, 0, 1, 2, 1, 0, 3, 0, 0, 4, 0, 0]);
    assert.equal(note, null);
    const lines = Array.from({ length: 20 }, (_, i) => `${i},n${i}`);
    const many = await read(put('many.csv', `x,name\n${lines.join('\n')}\n`), { categorical: ['name'] });
    assert.match(many.note!, /--categorical name makes 19 columns/);
  });
  test('an index that pandas wrote is left out, another first column is not', async () => {
    assert.match((await read(fixture('indexed.csv'))).note!, /only counts the rows/);
    const { names, note } = await read(put('first.csv', ',a\n5,1\n6,2\n'));
    assert.deepEqual(names, ['', 'a']);
    assert.match(note!, /first column has no name and is clustered; .* --drop 1/);
    assert.equal((await read(join(folder, 'first.csv'), { columns: ['', 'a'] })).note, null);
    const [first, ...others] = Array.from({ length: 40 }, (_, i) => `${i % 20},${i / 8}\n`);
    const twice = await read(put('twice.csv', ['Unnamed: 0,a\n', first, ...others].join('')));
    assert.match(twice.note!, /: Unnamed: 0 has the name of an id, and is clustered: [^;]*$/);
  });
});

describe('several files', () => {
  const parts = (name: string, files: Record<string, string>) => {
    const path = join(folder, name);
    mkdirSync(path);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    return path;
  };
  test('in a folder and by a pattern, in the order of their names', async () => {
    const path = parts('parts', {
      'b.csv': 'x,y\n3,4\n',
      'a.csv': 'x,y\n1,2\n',
      '.c.csv': 'x\n',
      'notes.md': '#',
    });
    assert.deepEqual((await read(path)).values, [1, 2, 3, 4]);
    assert.deepEqual((await read(join(path, 'b*.csv'))).values, [3, 4]);
    assert.deepEqual(await texts(path, 'x'), ['1', '3']);
    await refuses(() => read(join(path, 'z*.csv')), 'z*.csv is a pattern of no file');
  });
  test('of other columns or formats', async () => {
    await refuses(
      () => read(parts('names', { 'a.csv': 'x,y\n1,2\n', 'b.csv': 'x,z\n3,4\n' })),
      'b.csv has other columns than',
      'column 2 is "z", not "y"',
    );
    await refuses(
      () => read(parts('mixed', { 'a.csv': 'x,y\n1,2\n', 'b.jsonl': '{"x":1}' })),
      'different formats',
    );
    const noted = parts('noted', { 'README.txt': 'a\n', 'p.jsonl': '{"x":1}', 'q.jsonl': '{}' });
    await refuses(() => read(`${noted}/`), `such as '${join(noted, '*.jsonl')}'`);
  });
  test('without rows, as a filter leaves them, are skipped', async () => {
    const texts = parts('empty', { 'a.csv': 'x,y\n', 'b.csv': 'x,y\n1,2\n', 'c.csv': 'x,y\n' });
    const { values, note } = await read(texts);
    assert.deepEqual(values, [1, 2]);
    assert.match(note!, /2 of its files have no rows/);
    for (const format of ['parquet', 'feather']) {
      const path = parts(`empty-${format}`, {});
      for (const name of ['empty', 'variable'])
        writeFileSync(join(path, `${name}.${format}`), Buffer.from(fixtures[`${name}.${format}`], 'base64'));
      const { values, note } = await read(path);
      assert.deepEqual(values, rows);
      assert.match(note!, /1 of its files has no rows/);
    }
    await refuses(() => read(parts('all-empty', { 'a.csv': 'x,y\n', 'b.csv': 'x,y\n' })), 'no rows');
  });
  test('of 0 bytes, or text without any, are skipped', async () => {
    const path = parts('nothing', { 'a.csv': '', 'b.csv': 'x,y\n1,2\n', 'c.csv': '\n\n', 'd.csv.gz': '' });
    writeFileSync(join(path, 'd.csv.gz'), gzipSync(''));
    const { values, note } = await read(path);
    assert.deepEqual(values, [1, 2]);
    assert.match(note!, /3 of its files have no rows/);
    assert.deepEqual(
      (await read(parts('nothing-json', { 'a.jsonl': '', 'b.jsonl': '{"x":1}' }))).values,
      [1],
    );
    await refuses(() => read(parts('all-nothing', { 'a.csv': '', 'b.csv': '' })), 'a.csv is empty (0 bytes)');
    // It should have a footer.
    const damaged = parts('nothing-parquet', { 'a.parquet': '' });
    writeFileSync(join(damaged, 'b.parquet'), Buffer.from(fixtures['wide.parquet'], 'base64'));
    await refuses(() => read(damaged), 'a.parquet is empty (0 bytes)');
  });
  test('bad values are named with their file', () =>
    refuses(
      () => read(parts('bad', { 'a.csv': 'x,y\n1,2\n', 'b.csv': 'x,y\n3,\n' })),
      'b.csv) line 2, column y',
    ));
  test('that change are noticed', async () => {
    const path = parts('changing', { 'a.csv': 'x,y\n1,2\n', 'b.csv': 'x,y\n3,4\n' });
    const source = await openSource(path);
    appendFileSync(join(path, 'b.csv'), '5,6\n');
    assert.throws(() => source.assertSameFile!(), /changed while it was being read/);
    source.close();
    assert.deepEqual((await read(path)).values, [1, 2, 3, 4, 5, 6]);
    rmSync(join(path, 'b.csv'));
    assert.deepEqual((await read(path)).values, [1, 2]);
  });
});

test('columns of true and false are numbers', async () => {
  for (const [name, words] of Object.entries({
    python: ['True', 'False'],
    r: ['TRUE', 'FALSE'],
    json: ['true', 'false'],
  })) {
    const [yes, no] = words;
    const text = `a,ok\n1,${yes}\n2,${no}\n3,${yes}\n`;
    const { values, names } = await read(put(`${name}.csv`, text));
    assert.deepEqual(values, [1, 1, 2, 0, 3, 1]);
    assert.deepEqual(names, ['a', 'ok']);
    // Row by row, with a missing value.
    assert.deepEqual(
      (await read(put(`${name}-slow.csv`, `${text}NA,\n`), { impute: 'drop' })).values,
      values,
    );
    // Which leave a header where it is, and are none.
    assert.deepEqual((await read(put(`${name}-one.csv`, `ok\n${yes}\n${no}\n`))).values, [1, 0]);
    assert.deepEqual((await read(put(`${name}-bare.csv`, `${yes},5\n${no},6\n`))).values, [1, 5, 0, 6]);
    assert.deepEqual((await read(put(`${name}-names.csv`, `id,${no},${yes}\nx,1,2\n`), { id: 'id' })).names, [
      no,
      yes,
    ]);
    const early = put(`${name}-early.csv`, `${text}4,5\n`);
    await refuses(() => read(early), `line 2, column ok: "${yes}" is not a number`);
    const late = put(`${name}-late.csv`, `a,ok\n${`1,${yes}\n`.repeat(600)}4,5\n`);
    await refuses(() => read(late), 'line 602, column ok: "5" is neither true nor false');
    assert.deepEqual((await read(put(`${name}-hot.csv`, text), { categorical: ['ok'] })).names, [
      'a',
      `ok=${no}`,
    ]);
  }
});

test('columns may have the names of what every object has', async () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const text = `${name},a\nx,1\ny,2\nx,3\n`;
    const { categories, values } = await read(put(`${name}.csv`, text), { categorical: [name] });
    assert.deepEqual(values, [1, 0, 2, 1, 3, 0]);
    // As they come out of run.json.
    const known = categoriesSchema.parse(JSON.parse(JSON.stringify(categories)));
    const trained = { names: ['a', `${name}=y`], width: 2, run: 'r', categories: known };
    assert.deepEqual((await read(put('new.csv', text), { categorical: [name], trained })).values, values);
    // Without names, by their places.
    const bare = { names: null, width: 2, run: 'r', categories: { 1: ['x', 'y'] } };
    assert.deepEqual(
      (await read(put('new.csv', text), { categorical: ['1'], trained: bare })).values,
      values,
    );
  }
});

test('an index in each of several files counts the rows of its own', async () => {
  const path = join(folder, 'indexed');
  mkdirSync(path);
  for (const [part, text] of Object.entries({ a: ',x\n0,5\n1,6\n', b: ',x\n0,7\n' }))
    writeFileSync(join(path, `${part}.csv`), text);
  assert.deepEqual((await read(path)).values, [5, 6, 7]);
});

test('a folder called column=value adds no column and replaces none', async () => {
  const path = join(folder, 'a=9');
  mkdirSync(path);
  writeFileSync(join(path, 'wide.parquet'), Buffer.from(fixtures['wide.parquet'], 'base64'));
  writeFileSync(join(path, 'x.jsonl'), '{"a":1,"b":2}\n');
  assert.deepEqual((await read(join(path, 'wide.parquet'))).values, rows);
  assert.deepEqual((await read(join(path, 'x.jsonl'))).values, [1, 2]);
});

test('rows that are dropped at the end leave no texts over', async () => {
  const lines = Array.from({ length: 2049 }, (_, i) => `${i < 2048 ? i / 7 : ''},r${i}`);
  const path = put('last.csv', `x,id\n${lines.join('\n')}\n`);
  const source = await openSource(path, { table: { ...PLAIN_TABLE, impute: 'drop', id: 'id' } });
  assert.equal(source.rows, 2048);
  const ids = rowTexts(source.texts!('id'), 'ids');
  assert.equal((await ids.next(2048)).at(-1), 'r2047');
  await ids.end();
  appendFileSync(path, '1,r\n');
  await assert.rejects(rowTexts(source.texts!('id'), 'ids').next(1), /changed/);
  source.close();
});

test('a line without text is no row', async () => {
  assert.deepEqual((await read(put('one.csv', 'x\n1\n2\n\n'), { impute: 'mean' })).values, [1, 2]);
  const path = put('lead.csv', '\nx,id\n1,a\n2,b\n');
  assert.deepEqual((await read(path, { id: 'id' })).values, [1, 2]);
  assert.deepEqual(await texts(path, 'id', { id: 'id' }), ['a', 'b']);
});

test('a column of JSON lines that begins late is not lost', async () => {
  const lines = Array.from({ length: 30_000 }, (_, i) => (i < 29_990 ? `{"a":${i}}` : `{"a":${i},"b":1}`));
  await refuses(() => read(put('late.jsonl', lines.join('\n'))), 'column b', 'missing');
});

test('a model of a table without names takes new rows by their places', async () => {
  const options = { categorical: ['3'], id: '1', label: '4' };
  const { values, categories } = await read(put('bare.csv', 'p,1.5,x,0\nq,2.5,y,1\n'), options);
  assert.deepEqual(values, [1.5, 0, 2.5, 1]);
  const trained = { names: null, width: 2, run: 'r', categories };
  for (const [name, text] of Object.entries({
    'same.csv': 'p,1.5,x,0\nq,2.5,y,1\n',
    'without.csv': 'p,1.5,x\nq,2.5,y\n',
    'named.csv': 'id,a,kind,class\np,1.5,x,0\nq,2.5,y,1\n',
  }))
    assert.deepEqual((await read(put(name, text), { ...options, trained })).values, values, name);
});

test('new rows without the list of the run are told what they have', async () => {
  const trained = { names: ['e[1]', 'e[2]'], width: 2, run: 'r' };
  await refuses(
    () => read(fixture('fixed.parquet'), { trained }),
    'has no column "e", which the run r was trained on; it has id, embedding, label: pass',
  );
  await refuses(() => read(put('flat.csv', 'e[1],x\n1,2\n'), { trained }), 'has no column "e[2]"');
});

test('a file whose name has the signs of a pattern is that file', async () => {
  assert.deepEqual((await read(put('a[1]*.csv', 'x,y\n1,2\n'))).values, [1, 2]);
  assert.deepEqual((await read(put("it's.csv", 'x,y\n1,2\n'))).values, [1, 2]);
});
