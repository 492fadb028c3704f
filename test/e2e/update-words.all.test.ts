// Words of updates: those of the rows that the run has kept and of the new ones, whose texts they need.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { generator } from '../../model/random.ts';
import { normals } from '../model/support.ts';
import {
  dpmesh,
  jsonOf,
  library,
  refused,
  resumed,
  scratch,
  sha256,
  start,
  trainArgs,
  until,
} from './support.ts';
import { updateArgs } from './updates.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const FLAGS = ['--no-http', '--no-report', '--workers', 1];
const TOPICS = [
  { words: ['wine', 'cheese', 'bread', 'olives'], a: -10, b: 0 },
  { words: ['tide', 'harbour', 'boats', 'wind'], a: 10, b: 0 },
  { words: ['neural', 'network', 'learning', 'data'], a: 0, b: 12 },
  { words: ['guitar', 'music', 'concert', 'stage'], a: 0, b: -15 },
];

interface Cluster {
  id: number;
  name: string;
  namedBy: string;
  size: number;
  words: { word: string }[];
  texts: string[];
}
const readJson = (run: string) => JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8'));
const clustersOf = (run: string): Cluster[] => readJson(run).clusters;
const hashOf = (run: string) => sha256(join(run, 'clusters.json'));

/** Rows of the first topics: a table with texts and one without, and the texts alone. */
function rows(name: string, count: number, topics: number, seed: number) {
  const next = normals(seed);
  const rng = generator(BigInt(seed), 'texts');
  const lines = Array.from({ length: count }, (_, i) => {
    const { words, a, b } = TOPICS[i % topics];
    const text = [...words, 'red', 'old', 'new'].filter(() => rng.uniform() < 0.6).join(' ');
    return { cells: `${a + next()},${b + next()}`, text: `${text} ${words[0]}` };
  });
  const files = { data: path(`${name}.csv`), bare: path(`${name}-bare.csv`), texts: path(`${name}.txt`) };
  writeFileSync(files.data, `a,b,body\n${lines.map(({ cells, text }) => `${cells},${text}\n`).join('')}`);
  writeFileSync(files.bare, `a,b\n${lines.map(({ cells }) => `${cells}\n`).join('')}`);
  writeFileSync(files.texts, lines.map(({ text }) => `${text}\n`).join(''));
  return files;
}

describe('words of updates', () => {
  const [first, second] = [rows('first', 600, 3, 1), rows('second', 400, 4, 2)];
  const [column, file] = [path('column'), path('file')];
  const updated = path('updated');
  before(async () => {
    jsonOf(await dpmesh(trainArgs(first.data, column, ...FLAGS, '--columns', 'a,b', '--text', 'body')));
    jsonOf(await dpmesh(trainArgs(first.bare, file, ...FLAGS, '--texts', first.texts)));
    await (await library()).renameCluster({ run: column, cluster: 2, name: 'Mine' });
    jsonOf(await dpmesh(updateArgs(column, second.data, updated, '--workers', 1)));
  });

  test('are those of earlier and of new rows; names stay with the ids', () => {
    const before = clustersOf(column);
    const after = new Map(clustersOf(updated).map((cluster) => [cluster.id, cluster]));
    assert.equal(after.size, 4);
    for (const [id, { name, namedBy, size }] of before.entries()) {
      const own = after.get(id)!;
      assert.deepEqual([own.name, own.namedBy], [name, namedBy]);
      assert.ok(own.size > size);
      assert.ok(own.words.length === 10 && own.texts.length === 3);
    }
    assert.equal(after.get(2)!.name, 'Mine');
    const born = after.get(3)!;
    assert.equal(born.namedBy, 'words');
    assert.ok(born.words.slice(0, 4).some(({ word }) => word === 'guitar'));
    assert.equal(readFileSync(join(updated, 'stream', 'texts.txt'), 'utf8').split('\n').length, 1001);
  });

  test('need the texts of the new rows: their column, or a file with a text for each', async () => {
    refused(await dpmesh(updateArgs(column, second.bare, path('no'))), /second-bare\.csv has no column body/);
    refused(
      await dpmesh(updateArgs(file, second.bare, path('no'))),
      /pass those of the new rows with --texts/,
    );
    refused(
      await dpmesh(updateArgs(file, second.bare, path('no'), '--texts', first.texts)),
      /first\.txt has 600 texts, but .*second-bare\.csv has 400 rows/,
    );
    jsonOf(await dpmesh(trainArgs(first.bare, path('none'), ...FLAGS)));
    refused(
      await dpmesh(updateArgs(path('none'), second.bare, path('no'), '--texts', second.texts)),
      /none has no texts of its rows, .* dpmesh name .*none --texts FILE/,
    );
    assert.ok(!existsSync(path('no')));
  });

  test('in files are the same, by any number of workers, and after a kill', async () => {
    const [one, two, killed] = ['one', 'two', 'killed'].map(path);
    const args = (out: string, workers: number) =>
      updateArgs(file, second.bare, out, '--texts', second.texts, '--workers', workers);
    jsonOf(await dpmesh(args(one, 1)));
    const [own, other] = [one, updated].map((run) => clustersOf(run).map(({ words }) => words));
    assert.deepEqual(own, other);
    jsonOf(await dpmesh(args(two, 2)));
    assert.equal(hashOf(two), hashOf(one));
    const running = start(args(killed, 2));
    await until('the sample', () => existsSync(join(killed, 'stream', 'drawn.ckpt')), running);
    await running.killAll();
    jsonOf(await resumed(killed));
    assert.equal(hashOf(killed), hashOf(one));
    assert.deepEqual(readdirSync(join(killed, 'stream')).sort(), ['sample.npy', 'state.ckpt', 'texts.txt']);
    const { files } = JSON.parse(readFileSync(join(killed, 'run.json'), 'utf8'));
    assert.equal(files['stream/texts.txt'], sha256(join(one, 'stream', 'texts.txt')));
  });

  test('may be given to a run that was trained without texts, and updated then', async () => {
    const run = path('later');
    const name = (...more: string[]) => dpmesh(['name', run, ...more]);
    jsonOf(await dpmesh(trainArgs(first.bare, run, ...FLAGS)));
    const { clusters: before } = readJson(run);
    refused(await name(), /names come from texts, --text COLUMN or --texts FILE, or from a language model/);
    refused(await name('--texts', second.texts), /second\.txt has 400 texts, but .* has 600 rows/);
    refused(await name('--text', 'body'), /has no column body; it has a, b/);
    assert.deepEqual(readJson(run).clusters, before);
    assert.deepEqual(readdirSync(run).sort(), readdirSync(path('none')).sort());
    const { code, stdout, stderr } = await name('--text', 'body', '--data', first.data);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^5 of 5 names by words/);
    assert.deepEqual(readJson(run), readJson(file));
    for (const same of ['labels.csv', 'stream/texts.txt'])
      assert.equal(sha256(join(run, same)), sha256(join(file, same)));
    // Again, with a name by hand; the hashes of run.json are those of the files.
    await (await library()).renameCluster({ run, cluster: 1, name: 'Mine' });
    assert.equal((await name('--texts', first.texts)).code, 0);
    assert.equal(clustersOf(run)[1].name, 'Mine');
    jsonOf(await dpmesh(updateArgs(run, second.bare, path('later-2'), '--texts', second.texts)));
    const born = clustersOf(path('later-2')).find(({ id }) => id === 3)!;
    assert.equal(born.namedBy, 'words');
    refused(
      await dpmesh(['name', path('later-2'), '--texts', second.texts]),
      /later-2 is an update, .* give them to the first run/,
    );
  });

  test('skip the texts of rows that were left out, also of the last one', async () => {
    const [lines, data] = [readFileSync(first.data, 'utf8').trimEnd().split('\n'), path('gaps.csv')];
    for (const row of [3, 599]) lines[row + 1] = lines[row + 1].replace(/^[^,]*/, '');
    writeFileSync(data, `${lines.join('\n')}\n`);
    const [trained, later] = [path('gaps'), path('gaps-later')];
    const args = [...FLAGS, '--columns', 'a,b', '--impute', 'drop'];
    jsonOf(await dpmesh(trainArgs(data, trained, ...args, '--text', 'body')));
    jsonOf(await dpmesh(trainArgs(data, later, ...args)));
    // The only column with text needs no name.
    const { code, stderr } = await dpmesh(['name', later, '--texts', first.data]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readJson(later), readJson(trained));
  });

  test('of a follow are in its parts, or stay those of earlier rows', async () => {
    cpSync(file, path('followed'), { recursive: true });
    for (const [run, data] of [
      [column, second.data],
      [path('followed'), second.bare],
    ]) {
      const { code, stderr } = await dpmesh(['follow', run, '--data', data, '--once', '--workers', 1]);
      assert.equal(code, 0, stderr);
      assert.equal(/words stay those of earlier rows/.test(stderr), run !== column);
    }
    assert.equal(hashOf(join(`${column}-follow`, 'update-000001')), hashOf(updated));
    const clusters = clustersOf(join(path('followed-follow'), 'update-000001'));
    for (const { id, words } of clusters) assert.equal(words.length, id < 3 ? 10 : 0);
  });
});
