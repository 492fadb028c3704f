// What clusters of a table are called: by its columns, in an update by what they were called, and as people say.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { lockDirectory } from '../../run/run-lock.ts';
import { endpoint } from '../coordinator/fit/endpoint.ts';
import { fitted, PEOPLE, people } from '../fitted.ts';
import { normals } from '../model/support.ts';
import {
  dpmesh,
  jsonOf,
  library,
  preloading,
  QUICK,
  ROW_FILES,
  refused,
  scratch,
  trainArgs,
} from './support.ts';
import { updateArgs } from './updates.ts';

const ROWS = 360;
const folder = scratch();
const path = (name: string) => join(folder, name);
const FLAGS = ['--categorical', 'region', '--id', 'who', '--no-http', ...QUICK];
const NAMES = [/income, .*region = north$/, /^very high age/, /^very low age/];

function regions(name: string): string {
  const next = normals(1);
  const lines = Array.from({ length: ROWS }, (_, i) => {
    const c = i % 9 < 4 ? 0 : i % 9 < 7 ? 1 : 2;
    const [age, income] = [[40, 60, 20][c] + 2 * next(), [80, 30, 30][c] + 2 * next()];
    return `${age},${income},${next()},${c === 0 ? 'north' : 'south'},"person ${i}, 1"`;
  });
  writeFileSync(path(name), `age,income,noise,region,who\n${lines.join('\n')}\n`);
  return path(name);
}

const table = regions('regions.csv');

describe('names of clusters', () => {
  const run = path('run');
  const tables = ['labels.csv', 'labels.parquet'];
  const clustersOf = (of: string) => JSON.parse(readFileSync(join(of, 'clusters.json'), 'utf8'));
  const namesOf = (of: string): string[] => clustersOf(of).clusters.map(({ name }: { name: string }) => name);
  const rename = (of: string, ...words: (string | number)[]) => dpmesh(['rename', of, ...words]);
  let data: string;
  before(async () => {
    data = (await fitted('table', run)).data;
  });

  test('of columns without names are numbers, and are no column of labels.csv', async () => {
    const next = normals(2);
    const lines = Array.from({ length: 300 }, (_, i) => `${10 * (i % 2) + next()},${next()}`);
    writeFileSync(path('plain.csv'), lines.join('\n'));
    jsonOf(await dpmesh(trainArgs(path('plain.csv'), path('plain'), '--no-http', ...QUICK)));
    assert.deepEqual(namesOf(path('plain')), ['cluster 0', 'cluster 1']);
    assert.match(readFileSync(join(path('plain'), 'labels.csv'), 'utf8'), /^row,cluster,confidence/);
  });

  test('are changed by hand in all files, which predict writes too', async () => {
    const own = path('renamed');
    cpSync(run, own, { recursive: true });
    assert.equal((await rename(own, 1, 'The <b>old</b>\u0007 שלום')).code, 0);
    assert.equal(namesOf(own)[1], 'The <b>old</b> שלום');
    assert.equal(clustersOf(own).clusters[1].namedBy, 'hand');
    assert.equal((await (await library()).openRun(own)).result!.clusters[1].name, namesOf(own)[1]);
    for (const file of tables) {
      const out = path(`new-${file}`);
      assert.equal((await dpmesh(['predict', own, data, '--out', out])).code, 0);
      assert.ok(readFileSync(out).equals(readFileSync(join(own, file))), file);
    }
    assert.match(readFileSync(join(own, 'labels.csv'), 'utf8'), /^"person, \d+",1,The <b>old<\/b> שלום,/m);
  });

  test('stay with a cluster’s id over updates', async () => {
    const own = path('kept');
    cpSync(run, own, { recursive: true });
    await (await library()).renameCluster({ run: own, cluster: 2, name: 'Young' });
    jsonOf(await dpmesh(updateArgs(own, people(folder, 'more', 5).data, path('updated'))));
    const { clusters } = clustersOf(path('updated'));
    const byId = new Map(clusters.map(({ id, name }: { id: number; name: string }) => [id, name]));
    assert.deepEqual(
      [0, 1, 2].map((id) => byId.get(id)),
      [...namesOf(run).slice(0, 2), 'Young'],
    );
  });

  test('come from a language model, where one is asked: at the end of a run, or later', async () => {
    using model = await endpoint((_, i) => (i === 0 ? 'Rich <b>& northern</b>' : `Name ${i}`));
    const own = path('by-model');
    const asking = ['--name-with', model.base, '--name-model', 'tiny'];
    const trained = await dpmesh(trainArgs(table, own, ...FLAGS, ...asking));
    assert.equal(jsonOf(trained).k, 3);
    assert.match(trained.stderr, /5 of 5 names by the model, 5 questions, 35 tokens/);
    assert.ok(namesOf(own).includes('Rich <b>& northern</b>'));
    assert.match(readFileSync(join(own, 'labels.csv'), 'utf8'), /,Rich <b>& northern<\/b>,/);
    assert.match(model.questions[0].messages[1].content, /What sets it apart: .*(income|age)/);
    assert.match(model.questions[4].messages[1].content, /union of: .*Name/);
    // What is known is not asked again; a name by hand stays.
    assert.equal((await rename(own, 0, 'Mine')).code, 0);
    const again = await dpmesh(['name', own, ...asking, '--json']);
    assert.equal(again.code, 0);
    assert.equal(JSON.parse(again.stdout).of, 4);
    assert.equal(namesOf(own)[0], 'Mine');
    const sent = readFileSync(join(own, 'names.jsonl'), 'utf8').trim().split('\n');
    assert.equal(sent.length, model.questions.length);
  });

  test('of a run that another replaces while they are looked for are not given to that', async () => {
    const [own, other] = [path('asked'), path('replacing')];
    cpSync(run, own, { recursive: true });
    await fitted('gaussian', other);
    const names = namesOf(other);
    using model = await endpoint((_, i) => {
      if (i === 0) {
        renameSync(own, `${own}-before`);
        renameSync(other, own);
      }
      return `Name ${i}`;
    });
    const asking = ['--name-with', model.base, '--name-model', 'tiny'];
    refused(await dpmesh(['name', own, ...asking]), /another has taken its place/);
    assert.deepEqual(namesOf(own), names);
    assert.equal((await dpmesh(['name', own, ...asking])).code, 0);
  });

  test('by a model that is not there: those of columns that set clusters apart, and how to ask again', async () => {
    const flags = ['--name-with', 'http://127.0.0.1:9/v1', '--name-model', 'x'];
    const trained = await dpmesh(trainArgs(table, path('alone'), ...FLAGS, ...flags));
    assert.equal(jsonOf(trained).k, 3);
    const names = namesOf(path('alone'));
    for (const [i, name] of names.entries()) assert.match(name, NAMES[i]);
    assert.ok(!names.join().includes('noise'));
    assert.match(trained.stderr, /127\.0\.0\.1:9: .*dpmesh name .*alone does it again/s);
    refused(
      await dpmesh(
        trainArgs(table, path('none'), '--categorical', 'region', '--name-with', 'http://x.example'),
      ),
      /needs --name-model/,
    );
    refused(
      await dpmesh(['name', path('alone'), '--name-with', 'nowhere', '--name-model', 'x']),
      /is no address/,
    );
    // What is sent is not written through a link.
    symlinkSync(path('elsewhere'), join(path('alone'), 'names.jsonl'));
    const linked = ['name', path('alone'), '--name-with', 'http://127.0.0.1:9', '--name-model', 'x'];
    refused(await dpmesh(linked), /names\.jsonl is a symbolic link/);
  });

  test('go into no table of damaged files, nor onto a map of them', async () => {
    const own = path('damaged');
    const texts = path('texts.txt');
    writeFileSync(texts, 'some words\n'.repeat(PEOPLE));
    const told = ['run.json', 'clusters.json', ...tables];
    const bytes = () => told.map((file) => readFileSync(join(own, file)));
    for (const file of ROW_FILES) {
      cpSync(run, own, { recursive: true });
      const before = bytes();
      const damaged = readFileSync(join(own, file));
      damaged[damaged.length - 1] ^= 1;
      writeFileSync(join(own, file), damaged);
      const says = `${file} is damaged`;
      refused(await rename(own, 0, 'Other'), says);
      refused(await dpmesh(['export', own, '--datamapplot', path('map.npz')]), says);
      refused(await dpmesh(['name', own, '--texts', texts]), says);
      assert.deepEqual(bytes(), before, file);
    }
  });

  test('are not changed where that cannot be', async () => {
    const { renameCluster } = await library();
    const refuses = (cluster: number, name: string, says: RegExp, of = run) =>
      assert.rejects(renameCluster({ run: of, cluster, name }), says);
    await refuses(3, 'x', /has no cluster 3, but 0 to 2/);
    await refuses(0, ' \u0007', /must have a character/);
    await refuses(0, 'x'.repeat(61), /61 characters, more than 60/);
    await refuses(0, namesOf(run)[1].toUpperCase(), /cluster 1 is called/);
    await refuses(0, 'x', /nowhere/, path('nowhere'));
    const release = await lockDirectory(run);
    await refuses(0, 'x', /in use/);
    release();
    refused(await rename(run, 'x', 'y'), /--cluster x must be a number/);
  });

  test('killed at any change of a file, the run opens, and the same command makes it whole', async () => {
    const whole = path('whole');
    cpSync(run, whole, { recursive: true });
    const { renameCluster } = await library();
    await renameCluster({ run: whole, cluster: 0, name: 'Rich' });
    let kills = 0;
    for (; ; kills++) {
      const own = path(`killed-${kills}`);
      cpSync(run, own, { recursive: true });
      const env = preloading(
        folder,
        `kill-${kills}`,
        `const { renameSync } = fs;
        let changes = 0;
        fs.renameSync = (from, to) => (changes++ === ${kills} ? process.kill(process.pid, 'SIGKILL') : renameSync(from, to));`,
      );
      const ended = await dpmesh(['rename', own, 0, 'Rich'], { env });
      const saved = await (await library()).openRun(own);
      assert.equal(saved.result!.labels.length, PEOPLE);
      assert.ok([namesOf(run)[0], 'Rich'].includes(saved.result!.clusters[0].name!));
      if (ended.signal !== 'SIGKILL') break;
      await renameCluster({ run: own, cluster: 0, name: 'Rich' });
      for (const file of ['run.json', 'clusters.json', ...tables])
        assert.ok(readFileSync(join(own, file)).equals(readFileSync(join(whole, file))), `${kills} ${file}`);
    }
    assert.equal(kills, 5);
  });
});
