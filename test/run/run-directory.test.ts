import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { draftOf, isDraft, startOf } from '../../base/drafts.ts';
import { UserError } from '../../base/user-error.ts';
import { cachePath, copyName } from '../../data/cache.ts';
import { createEventLog } from '../../run/event-log.ts';
import { openDefaultRunDirectory, openRunDirectory, reopenRunDirectory } from '../../run/run-directory.ts';
import { MOST_RUN_JSON } from '../../run/run-files.ts';
import { Displaced } from '../../run/run-lock.ts';
import { assertNotOfRun, defaultRunPath } from '../../run/run-path.ts';
import { sha256 } from '../bench/processes.ts';

const home = mkdtempSync(join(tmpdir(), 'dpmesh-run-directory-'));
after(() => rmSync(home, { recursive: true }));

let count = 0;
let path = '';
beforeEach(() => {
  path = join(home, `run-${++count}`);
});

const lines = () =>
  readFileSync(join(path, 'events.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const warning = (message: string) => ({ type: 'warning' as const, message });

describe('openRunDirectory', () => {
  test('writes nothing before `create`', async () => {
    const out = await openRunDirectory(path);
    out.event(warning('early'));
    assert.equal(existsSync(path), false);
    await out.create({});
    assert.deepEqual(readdirSync(path).sort(), ['events.jsonl', 'run.json']);
  });

  test('rejects a directory that is not empty, and a file', async () => {
    mkdirSync(path);
    await openRunDirectory(path);
    writeFileSync(join(path, 'notes.txt'), 'mine');
    await assert.rejects(
      openRunDirectory(path),
      new UserError(`--out ${path} already exists; choose another, or overwrite it with --force`),
    );
    await assert.rejects(
      openRunDirectory(join(path, 'notes.txt')),
      new UserError(`--out ${join(path, 'notes.txt')} is not a directory`),
    );
    assert.equal(readFileSync(join(path, 'notes.txt'), 'utf8'), 'mine');
  });

  test('with --force removes the files of a run, and nothing else', async () => {
    const old = await openRunDirectory(path);
    old.event(warning('old'));
    await old.create({});
    old.json('run.json', { dpmesh: '0.1.0' });
    for (const folder of ['model', 'mixture', 'checkpoints', 'report', 'mine']) mkdirSync(join(path, folder));
    for (const file of [
      'labels.npy',
      'responsibilities.npy',
      'model/x',
      'mine/x',
      'notes.txt',
      'labels.npy.bak',
    ])
      writeFileSync(join(path, file), 'x');
    await assert.rejects(openRunDirectory(path, { force: true }), /is in use by another coordinator/);
    old.close();
    const out = await openRunDirectory(path, { force: true });
    assert.ok(existsSync(join(path, 'run.json')), 'nothing is removed before `create`');
    await out.create({});
    assert.deepEqual(readdirSync(path).sort(), [
      ...['events.jsonl', 'labels.npy.bak', 'mine', 'notes.txt', 'run.json'],
    ]);
    assert.deepEqual(readdirSync(join(path, 'mine')), ['x']);
    assert.equal(readFileSync(join(path, 'events.jsonl'), 'utf8'), '');
  });

  test('what a killed run did not complete is removed, with and without --force', async () => {
    const draft = (name: string) => `${name}.4711-1.0123abcd.tmp`;
    const mine = ['p.npy.4711-1.0123abcd.tmp', 'labels.npy.tmp'];
    // Killed before it had a run.json: nothing else is there.
    mkdirSync(path);
    writeFileSync(join(path, draft('run.json')), '{');
    const first = await openRunDirectory(path);
    await first.create({});
    assert.deepEqual(readdirSync(path).sort(), ['events.jsonl', 'run.json']);
    first.json('run.json', { dpmesh: '0.1.0' });
    first.close();
    const leave = (...names: string[]) => {
      for (const folder of ['checkpoints', 'model', 'report'])
        mkdirSync(join(path, folder), { recursive: true });
      for (const name of names) writeFileSync(join(path, name), 'half');
    };
    const inside = ['checkpoints/epoch-000001.ckpt', 'model/weights.bin', 'report/k.svg'].map(draft);
    leave(draft('labels.npy'), draft('events.jsonl'), ...inside, ...mine);
    mkdirSync(join(path, draft('report')));
    const again = await openRunDirectory(path, { force: true });
    await again.create({});
    assert.deepEqual(readdirSync(path).sort(), ['events.jsonl', ...mine, 'run.json'].sort());
    again.json('run.json', { dpmesh: '0.1.0' });
    again.close();
    leave(draft('labels.npy'), ...inside);
    (await reopenRunDirectory(path)).close();
    const left = readdirSync(path, { recursive: true }).map(String);
    assert.deepEqual(
      left.filter((name) => /\.4711-1\./.test(name)),
      [],
    );
  });

  test('what a process that lives has not completed stays', async () => {
    const old = await openRunDirectory(path);
    await old.create({});
    old.json('run.json', { dpmesh: '0.1.0' });
    old.close();
    mkdirSync(join(path, 'report'));
    const by = (pid: number, start: string) => `${pid}-${start}.0123abcd.tmp`;
    const living = [`k.svg.${by(process.ppid, startOf(process.ppid))}`, draftOf('k.png')];
    // The second was of a process whose number another one has by now.
    const left = [`losses.svg.${by(2 ** 30, '1')}`, `losses.png.${by(process.ppid, '1')}`];
    for (const name of [...living, ...left]) writeFileSync(join(path, 'report', name), 'half');
    (await reopenRunDirectory(path)).close();
    const kept = process.platform === 'linux' ? living : [...living, left[1]];
    assert.deepEqual(readdirSync(join(path, 'report')).sort(), kept.sort());
    const run = draftOf('run.json');
    writeFileSync(join(path, run), 'half');
    const again = await openRunDirectory(path, { force: true });
    await again.create({});
    assert.deepEqual(readdirSync(path).sort(), ['events.jsonl', 'run.json', run]);
    again.close();
  });

  test('with --force: the earlier run stays whole if the new one cannot begin', async (t) => {
    mkdirSync(path);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', path]).status !== 0)
      return t.skip('nothing can be mounted here');
    try {
      const old = join(path, 'old');
      mkdirSync(join(old, 'checkpoints'), { recursive: true });
      const files = ['run.json', 'events.jsonl', 'labels.npy', 'checkpoints/epoch-000001.ckpt', 'notes.txt'];
      for (const name of files) writeFileSync(join(old, name), JSON.stringify({ dpmesh: '0.1.0', name }));
      const found = () => readdirSync(old, { recursive: true }).map(String).sort();
      const before = found();
      const out = await openRunDirectory(old, { force: true });
      await assert.rejects(out.create({ dpmesh: '0.1.0', much: 'x'.repeat(2 ** 20) }), (error: Error) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, /^--out .* cannot be written: no space left on the disk$/);
        return true;
      });
      assert.deepEqual(found(), before);
      for (const name of files) assert.equal(JSON.parse(readFileSync(join(old, name), 'utf8')).name, name);
      await out.create({ dpmesh: '0.1.0' });
      assert.deepEqual(found(), ['events.jsonl', 'notes.txt', 'run.json']);
      out.close();
    } finally {
      spawnSync('umount', ['-l', path]);
    }
  });

  test('with --force: what a killed run had not yet removed of the earlier one is nobody’s, and goes when it is resumed', async () => {
    for (const name of ['model', 'checkpoints']) mkdirSync(join(path, name), { recursive: true });
    for (const name of ['labels.npy', 'events.jsonl', 'checkpoints/epoch-000001.ckpt', 'notes.txt'])
      writeFileSync(join(path, name), 'earlier');
    writeFileSync(join(path, 'run.json'), '{"dpmesh":"0.1.0","replaces":true}');
    await assert.rejects(openRunDirectory(path), /already exists/);
    const warnings: string[] = [];
    (await reopenRunDirectory(path, { warn: (message) => warnings.push(message) })).close();
    assert.deepEqual(readdirSync(path).sort(), ['events.jsonl', 'notes.txt', 'run.json']);
    assert.deepEqual(JSON.parse(readFileSync(join(path, 'run.json'), 'utf8')), { dpmesh: '0.1.0' });
    assert.equal(readFileSync(join(path, 'events.jsonl'), 'utf8'), '');
    assert.match(warnings.join(), /stopped before it had removed the one that it replaces/);
  });

  test('nothing is begun with a run.json that is longer than what is read again', async () => {
    mkdirSync(join(path, 'model'), { recursive: true });
    writeFileSync(join(path, 'run.json'), '{"dpmesh":"0.1.0"}');
    const out = await openRunDirectory(path, { force: true });
    await assert.rejects(
      out.create({ parts: ['x'.repeat(MOST_RUN_JSON / 2)] }),
      /^UserError: run.json of the run would have/,
    );
    assert.deepEqual(readdirSync(path).sort(), ['model', 'run.json']);
    out.close();
  });

  test('with --force does not follow a link out of the directory', async () => {
    mkdirSync(path);
    const other = join(home, 'elsewhere');
    mkdirSync(other);
    writeFileSync(join(other, 'precious'), 'x');
    symlinkSync(other, join(path, 'model'));
    writeFileSync(join(path, 'run.json'), '{"dpmesh":"0.1.0"}');
    await (await openRunDirectory(path, { force: true })).create({});
    assert.deepEqual(readdirSync(other), ['precious']);
    assert.equal(existsSync(join(path, 'model')), false);
  });

  test('neither its own files nor those that it has read are outputs', () => {
    mkdirSync(path, { recursive: true });
    const [data, texts] = ['x.csv', 'texts.txt'].map((name) => join(dirname(path), name));
    writeFileSync(join(path, 'run.json'), JSON.stringify({ config: { data, labels: null, texts } }));
    symlinkSync(data, join(path, 'alias'));
    writeFileSync(data, '1');
    for (const [out, says] of [
      [join(path, 'labels.npy'), /--out .* is one of the run's own files/],
      [data, /--out .* is a file that the run has read; choose another path/],
      [join(path, 'alias'), /has read/],
      [texts, /has read/],
    ] as const)
      assert.throws(() => assertNotOfRun(path, { '--out': out }), says);
    assertNotOfRun(path, { '--out': join(path, 'other.npy'), '--soft': undefined });
    assertNotOfRun(join(path, 'nowhere'), { '--out': data });
    // One file of several, and one of which a column is read.
    const [parts, part] = [dirname(path), join(dirname(path), 'part-1.csv')];
    for (const config of [
      { data: parts },
      { data: join(parts, 'part-*.csv') },
      { data: texts, labels: `${part}:y` },
    ]) {
      writeFileSync(join(path, 'run.json'), JSON.stringify({ config }));
      rmSync(part, { force: true });
      const isThere = () => assertNotOfRun(path, { '--out': part });
      if (!config.labels) isThere();
      writeFileSync(part, '1');
      assert.throws(isThere, /has read/);
      assertNotOfRun(path, { '--out': join(parts, 'new.csv') });
    }
  });

  test('with --force removes nothing from a directory without a run, and none of the run’s inputs', async () => {
    mkdirSync(join(path, 'model'), { recursive: true });
    for (const name of ['labels.npy', 'model/x.npy']) writeFileSync(join(path, name), 'x');
    const refused = (inputs: Record<string, string | null>, message: RegExp) =>
      assert.rejects(openRunDirectory(path, { force: true, inputs }), (error) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, message);
        return true;
      });
    await refused({}, /^--out .* \(it has no run\.json of dpmesh\), .* remove labels\.npy, model there/);
    writeFileSync(join(path, 'run.json'), '{"name":"mine"}');
    await refused({}, /no run\.json of dpmesh/);
    writeFileSync(join(path, 'run.json'), '{"dpmesh":"0.1.0"}');
    symlinkSync(join(path, 'model'), join(path, 'alias'));
    await refused(
      { '--data': join(path, 'alias', 'x.npy') },
      /^--data .* is among the files that --force would remove/,
    );
    await refused({ '--data': null, '--labels': join(path, 'labels.npy') }, /^--labels /);
    await refused({ '--config': join(path, 'run.json') }, /^--config /);
    for (const data of [path, join(path, 'label*.npy')]) await refused({ '--data': data }, /^--data /);
    assert.ok(existsSync(join(path, 'model/x.npy')) && existsSync(join(path, 'labels.npy')));
    const out = await openRunDirectory(path, { force: true, inputs: { '--data': join(path, 'mine.npy') } });
    await out.create({});
    assert.deepEqual(readdirSync(path).sort(), ['alias', 'events.jsonl', 'run.json']);
    out.close();
  });

  test('of two runs that opened the same directory, the second does not erase the files of the first', async () => {
    const [first, second] = [await openRunDirectory(path), await openRunDirectory(path)];
    await first.create({});
    first.json('run.json', { first: true });
    await assert.rejects(second.create({}), UserError);
    assert.ok(existsSync(join(path, 'run.json')));
  });
});

describe('openDefaultRunDirectory', () => {
  test('concurrent runs get different names, and an unused directory is removed', async () => {
    const before = process.cwd();
    const folder = join(home, 'default');
    mkdirSync(folder);
    process.chdir(folder);
    try {
      const opened = await Promise.all([1, 2, 3].map(() => openDefaultRunDirectory('x.npy')));
      const paths = opened.map((out) => out.path).sort();
      assert.deepEqual(paths, ['runs/x', 'runs/x-2', 'runs/x-3']);
      await opened[1].create({ dpmesh: '0.1.0' });
      for (const out of opened) out.close();
      assert.deepEqual(readdirSync('runs'), [opened[1].path.slice('runs/'.length)]);
      rmSync('runs', { recursive: true });
      (await openDefaultRunDirectory('x.npy')).close();
      assert.deepEqual(readdirSync('.'), []);
    } finally {
      process.chdir(before);
    }
  });
});

describe('a run directory', () => {
  test('keeps events in order, including those from before `create`, each with its time', async () => {
    const out = await openRunDirectory(path);
    const start = Date.now();
    out.event(warning('one'));
    out.event(warning('two'));
    await out.create({});
    out.event(warning('a line\nbreak'));
    const events = lines();
    assert.deepEqual(
      events.map(({ message }) => message),
      ['one', 'two', 'a line\nbreak'],
    );
    for (const { time, type } of events) {
      assert.equal(type, 'warning');
      assert.ok(Date.parse(time) >= start && Date.parse(time) <= Date.now());
    }
  });

  test('has each file complete or not at all', async () => {
    const out = await openRunDirectory(path);
    await out.create({});
    out.json('run.json', { k: 1 });
    const labels = out.pieces('labels.npy', '<i4', [4]);
    labels.write(Int32Array.of(3, 4), 2);
    assert.equal(existsSync(join(path, 'labels.npy')), false, 'not before it is finished');
    labels.write(Int32Array.of(1, 2), 0);
    await labels.finish();
    const aborted = out.pieces('responsibilities.npy', '<f4', [4, 2]);
    aborted.write(Float32Array.of(1), 0);
    aborted.abort();
    assert.throws(() => out.bytes('events.jsonl/x', Buffer.of(1)));
    mkdirSync(join(path, 'taken'));
    assert.throws(() => out.bytes('taken', Buffer.of(1)));
    assert.deepEqual(readdirSync(path).sort(), ['events.jsonl', 'labels.npy', 'run.json', 'taken']);
  });

  test('has the hash of each result file as it was written', async () => {
    const out = await openRunDirectory(path);
    await out.create({});
    out.bytes('model/weights.bin', Buffer.of(1, 2));
    await out.npy('mixture/means.npy', '<f8', [2, 2], Float64Array.of(1, 2, 3, 4));
    const labels = out.pieces('labels.npy', '<i4', [400_000]);
    for (const start of [200_000, 0]) labels.write(new Int32Array(200_000).fill(start), start);
    await labels.finish();
    const names = ['model/weights.bin', 'mixture/means.npy', 'labels.npy'];
    assert.deepEqual(out.hashes(), Object.fromEntries(names.map((name) => [name, sha256(join(path, name))])));
    // What somebody puts in its place is not what the run wrote.
    const before = out.hashes();
    writeFileSync(join(path, 'labels.npy'), 'other');
    assert.deepEqual(out.hashes(), before);
  });

  test('is not written once it is closed: another process may have it', async () => {
    const out = await openRunDirectory(path);
    await out.create({});
    const labels = out.pieces('labels.npy', '<i4', [1]);
    out.close();
    await assert.rejects(labels.finish(), /is closed/);
    assert.throws(() => out.json('run.json', { late: true }), /is closed/);
    assert.deepEqual(readdirSync(path).sort(), ['events.jsonl', 'run.json']);
    assert.equal(readFileSync(join(path, 'run.json'), 'utf8'), '{}\n');
  });
});

describe('a run directory in which a link was made during the run', () => {
  for (const name of ['model', 'mixture', 'checkpoints', 'stream', 'report', 'labels.npy', 'run.json'])
    test(`${name}: nothing is written through it, and the run stops`, async () => {
      const elsewhere = join(home, `elsewhere-${++count}`);
      mkdirSync(elsewhere);
      const out = await openRunDirectory(path);
      await out.create({});
      const labels = out.pieces('labels.npy', '<i4', [1]);
      rmSync(join(path, name), { force: true });
      symlinkSync(elsewhere, join(path, name));
      for (const write of [
        async () => out.bytes('model/weights.bin', Buffer.of(1)),
        async () => out.json('run.json', {}),
        () => out.npy('mixture/means.npy', '<f8', [1], Float64Array.of(1)),
        () => labels.finish(),
        async () => out.pieces('responsibilities.npy', '<f4', [1, 1]),
      ])
        await assert.rejects(write, (error: Error) => {
          assert.ok(error instanceof Displaced, String(error.stack));
          assert.match(error.message, new RegExp(`^[^\\n]*/${name} has become a symbolic link[^\\n]*$`));
          return true;
        });
      await assert.rejects(out.displaced, Displaced);
      out.close();
      assert.deepEqual(readdirSync(elsewhere), []);
      assert.deepEqual(readdirSync(path).filter(isDraft), []);
    });
});

describe('a run directory that is no longer where it was', () => {
  const displacements: [string, (path: string) => void][] = [
    ['removed', (path) => rmSync(path, { recursive: true })],
    ['moved', (path) => renameSync(path, `${path}-moved`)],
  ];
  for (const [how, displace] of displacements)
    for (const again of [false, true])
      test(`${how}${again ? ' and made again' : ''}: nothing is written`, async () => {
        const old = await openRunDirectory(path);
        await old.create({});
        const labels = old.pieces('labels.npy', '<i4', [2]);
        displace(path);
        if (again) {
          const successor = await openRunDirectory(path);
          await successor.create({ successor: true });
          successor.event(warning('mine'));
        }
        const before = again ? readdirSync(path) : null;
        labels.write(Int32Array.of(1, 2), 0);
        const writes = [
          () => labels.finish(),
          async () => old.json('run.json', {}),
          async () => old.bytes('model/weights.bin', Buffer.of(1)),
          () => old.npy('mixture/means.npy', '<f8', [1], Float64Array.of(1)),
          async () => old.pieces('labels.npy', '<i4', [2]),
          async () => old.assertThere(),
        ];
        for (const write of writes)
          await assert.rejects(write, (error: Error) => {
            assert.ok(error instanceof Displaced && error instanceof UserError);
            assert.match(error.message, /^[^\n]+ is no longer the directory that this run began in [^\n]+$/);
            return true;
          });
        await assert.rejects(old.displaced, Displaced);
        old.event(warning('late'));
        old.close();
        if (!before) return assert.equal(existsSync(path), false);
        assert.deepEqual(readdirSync(path), before);
        assert.equal(lines().length, 1);
        assert.match(readFileSync(join(path, 'run.json'), 'utf8'), /successor/);
      });

  test('before it was used: not made again', async () => {
    mkdirSync(path);
    const out = await openRunDirectory(path);
    rmSync(path, { recursive: true });
    await assert.rejects(out.create({}), Displaced);
    assert.equal(existsSync(path), false);
    out.close();
  });

  test('a new folder there does not get its inode, and is free', async () => {
    const old = await openRunDirectory(path);
    await old.create({});
    for (let i = 0; i < 20; i++) {
      rmSync(path, { recursive: true });
      mkdirSync(path);
      (await openRunDirectory(path)).close();
      assert.throws(old.assertThere, Displaced);
    }
    old.close();
  });
});

test('defaultRunPath: the name of the data, with the first free number', () => {
  const before = process.cwd();
  process.chdir(home);
  try {
    assert.equal(defaultRunPath('/data/mnist.npy'), join('runs', 'mnist'));
    const key = 'd41d8cd98f00b204e9800998ecf8427e';
    assert.equal(defaultRunPath(`/data/${key}-x.csv`), join('runs', `${key}-x`));
    assert.equal(defaultRunPath(join(cachePath(), copyName(key, 'x.csv'))), join('runs', 'x'));
    assert.equal(defaultRunPath('train-images-idx3-ubyte'), join('runs', 'train-images-idx3-ubyte'));
    for (const file of ['..npy', '...npy', '.npy'])
      assert.equal(defaultRunPath(`/data/${file}`), join('runs', file));
    for (const pattern of ['/data/parts/*.parquet', 'parts/2024-*/[ab].csv', 'parts//*.csv', './parts/?.csv'])
      assert.equal(defaultRunPath(pattern), join('runs', 'parts'), pattern);
    assert.equal(defaultRunPath('*.csv'), join('runs', basename(home)));
    mkdirSync('runs/mnist', { recursive: true });
    assert.equal(defaultRunPath('mnist.csv'), join('runs', 'mnist-2'));
    mkdirSync('runs/mnist-2');
    assert.equal(defaultRunPath('mnist.csv'), join('runs', 'mnist-3'));
  } finally {
    process.chdir(before);
  }
});

describe('a run directory that came from elsewhere', () => {
  const precious = join(home, 'precious');
  const text = 'no end of line';
  beforeEach(async () => {
    rmSync(precious, { recursive: true, force: true });
    const out = await openRunDirectory(path);
    await out.create({});
    out.close();
  });

  for (const name of ['events.jsonl', 'run.json', 'labels.npy'])
    test(`${name} is a link: rejected, and its target stays`, async () => {
      writeFileSync(precious, text);
      rmSync(join(path, name), { force: true });
      symlinkSync(precious, join(path, name));
      await assert.rejects(reopenRunDirectory(path), (error: Error) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, new RegExp(`${name} is a symbolic link.*--out ELSEWHERE$`));
        return true;
      });
      assert.equal(readFileSync(precious, 'utf8'), text);
    });

  test('one of its folders is a link: nothing is removed from its target', async () => {
    mkdirSync(precious);
    const draft = join(precious, 'x.1-1.00000000.tmp');
    writeFileSync(draft, text);
    symlinkSync(precious, join(path, 'checkpoints'));
    await assert.rejects(reopenRunDirectory(path), /checkpoints is a symbolic link/);
    assert.ok(existsSync(draft));
  });

  test('events.jsonl is a second name of another file: rejected, and that stays', async () => {
    writeFileSync(precious, text);
    rmSync(join(path, 'events.jsonl'));
    linkSync(precious, join(path, 'events.jsonl'));
    const refusal = /events\.jsonl has another name too .*--out ELSEWHERE$/;
    await assert.rejects(reopenRunDirectory(path), refusal);
    assert.throws(() => createEventLog(() => {}).open(join(path, 'events.jsonl')), refusal);
    assert.equal(readFileSync(precious, 'utf8'), text);
  });

  test('the event log does not open a link', () => {
    writeFileSync(precious, text);
    const link = join(path, 'link');
    symlinkSync(precious, link);
    assert.throws(() => createEventLog(() => {}).open(link), {
      message: /link cannot be written: too many symbolic links/,
    });
    assert.equal(readFileSync(precious, 'utf8'), text);
  });

  test('may itself be reached through a link', async () => {
    symlinkSync(path, precious);
    const out = await reopenRunDirectory(precious);
    out.event(warning('again'));
    out.close();
    assert.equal(lines().length, 1);
  });
});
