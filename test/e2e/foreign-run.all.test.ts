import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { configOf } from '../../cli/run-config.ts';
import { writeNpy } from '../../data/npy.ts';
import { openRun } from '../../library/open-run.ts';
import { predict } from '../../library/predict-files.ts';
import { writeReport } from '../../page/report/draw.ts';
import { LAYERS, MODEL } from '../../run/model-file.ts';
import { openPredictor } from '../../run/passes/predict.ts';
import { READ_FILES } from '../../run/read-files.ts';
import { openForModel } from '../../run/rows-for-model.ts';
import { readTrainedModel } from '../../run/trained-model.ts';
import { fitted } from '../fitted.ts';
import {
  changedCopy,
  changeRunFile,
  dpmesh,
  easyData,
  jsonOf,
  K,
  ROW_FILES,
  refused,
  runFileOf,
  scratch,
  sha256,
} from './support.ts';

// A run directory that was damaged, or that somebody else made.
const folder = scratch();
const path = (name: string) => join(folder, name);
const ROWS = 600;
const easy = easyData(folder, 'easy', ROWS);
const run = path('run');
before(async () => {
  await fitted('gaussian', run);
});

let copies = 0;
/** A changed copy of the run. */
const copy = (change: (at: string) => void) => changedCopy(run, path(`changed-${++copies}`), change);
/** A copy with another run.json. */
const withRunJson = (change: Parameters<typeof changeRunFile>[1]) => copy((at) => changeRunFile(at, change));

const plot = (at: string) => dpmesh(['plot', '--run', at]);
const resume = (at: string) => dpmesh(['resume', at, '--workers', 1, '--no-report']);
const predicted = (at: string, out?: string) => predict({ run: at, data: easy.data, out });

/** It is refused with one line that says this. */
const oneLine = (act: Promise<unknown>, ...says: (string | RegExp)[]) =>
  assert.rejects(act, ({ name, message }: Error) => {
    assert.equal(name, 'UserError', message);
    assert.ok(!message.includes('\n') && message.length < 400, message);
    for (const part of says)
      assert.ok(typeof part === 'string' ? message.includes(part) : part.test(message), message);
    return true;
  });
const notPredicted = (at: string, name: string) =>
  oneLine(predicted(at), join(at, name), /restore it from a copy|copy or save it again/);

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 1;
  writeFileSync(file, bytes);
}

describe('a damaged model', () => {
  test('run.json has the hash of each of its files', () => {
    const { files } = runFileOf(run);
    const names = ['model', 'mixture', 'stream'].flatMap((part) =>
      readdirSync(join(run, part)).map((name) => `${part}/${name}`),
    );
    names.push(...ROW_FILES, 'responsibilities.npy', 'labels.csv', 'clusters.json', 'tree.json');
    assert.equal(names.length, 13 + ROW_FILES.length);
    assert.deepEqual(files, Object.fromEntries(names.map((name) => [name, sha256(join(run, name))])));
  });

  for (const [how, damage] of [
    ['cut in half', (file: string) => truncateSync(file, statSync(file).size >> 1)],
    ['longer', (file: string) => appendFileSync(file, 'more')],
    ['of one other byte', (file: string) => flip(file, statSync(file).size >> 1)],
    ['missing', (file: string) => rmSync(file)],
  ] as const)
    test(`files that are ${how} are refused by who reads them`, async () => {
      const damaged = (name: string) => copy((at) => damage(join(at, name)));
      for (const name of [MODEL, ...Object.values(LAYERS)]) await notPredicted(damaged(name), name);
      for (const name of ['weights', 'means', 'covariances', 'counts'])
        assert.throws((await openRun(damaged(`mixture/${name}.npy`))).mixture, {
          name: 'UserError',
          message: new RegExp(`mixture/${name}\\.npy `),
        });
    });

  test('without hashes, lengths and shapes are still checked', async () => {
    const old = withRunJson((file) => {
      delete file.files;
    });
    assert.equal((await predicted(old)).rows, ROWS);
    const bytes = readFileSync(join(old, MODEL));
    const changed = (from: string, to: string) => {
      const at = bytes.indexOf(from);
      assert.ok(at > 0 && from.length === to.length, from);
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(to), bytes.subarray(at + from.length)]);
    };
    for (const wrong of [
      bytes.subarray(0, 4),
      bytes.subarray(0, 100),
      bytes.subarray(0, bytes.length - 4),
      Buffer.concat([bytes, Buffer.alloc(8)]),
      Buffer.concat([Buffer.alloc(8, 255), bytes.subarray(8)]),
      changed('"coordinates.scale"', '"coordinates.sCale"'),
      changed('{\\"step\\":\\"coordinates\\"}', '{\\"step\\":\\"coordinatez\\"}'),
      changed('"dtype":"F64"', '"dtype":"F32"'),
    ]) {
      const other = copy((at) => {
        cpSync(join(old, 'run.json'), join(at, 'run.json'));
        writeFileSync(join(at, MODEL), wrong);
      });
      await notPredicted(other, MODEL);
    }
  });

  test('of the right shapes and hashes, with values that no model has', async () => {
    for (const [name, value, says] of [
      ['mixture/counts.npy', 0, 'only zeros'],
      ['mixture/weights.npy', -1, 'negative'],
      ['mixture/covariances.npy', Number.POSITIVE_INFINITY, 'not finite'],
    ] as const) {
      const at = withRunJson((file) => {
        delete file.files;
      });
      const bytes = readFileSync(join(at, name));
      for (let i = 128; i + 8 <= bytes.length; i += 8) bytes.writeDoubleLE(value, i);
      writeFileSync(join(at, name), bytes);
      refused(await plot(at), name, says);
      assert.throws((await openRun(at)).mixture, new RegExp(says));
    }
  });

  test('labels of which a byte is another are not read, plotted, evaluated or reported as a result', async () => {
    const at = copy((at) => flip(join(at, 'labels.npy'), 2000));
    const says = ['labels.npy is damaged (its SHA-256 is not the one that run.json has)', 'restore it'];
    const labels = join(at, 'labels.npy');
    refused(await plot(at), ...says);
    refused(await resume(at), ...says);
    refused(await dpmesh(['evaluate', '--pred', labels, '--labels', easy.labels]), ...says);
    refused(await dpmesh(['plot', '--run', run, '--out', path('plotted'), '--labels', labels]), ...says);
    const { result } = await openRun(at);
    assert.throws(() => result!.labels, /labels\.npy is damaged/);
    // Labels elsewhere are anybody's.
    cpSync(labels, path('labels.npy'));
    jsonOf(await dpmesh(['evaluate', '--pred', path('labels.npy'), '--labels', easy.labels, '--json']));
  });

  test('responsibilities of another type or shape are not read, also without a hash', async () => {
    for (const [dtype, shape] of [
      ['<f8', [ROWS, 8]],
      ['<f4', [ROWS, 2]],
      ['<f4', [8 * ROWS]],
    ] as const) {
      const at = withRunJson(({ files }) => {
        delete files['responsibilities.npy'];
      });
      const length = shape.reduce((a: number, b) => a * b, 1);
      writeNpy(join(at, 'responsibilities.npy'), dtype, shape, new Float32Array(length));
      const { result } = await openRun(at);
      assert.throws(() => result!.responsibilities, /responsibilities\.npy is damaged .* instead of <f4 of/);
    }
  });

  test('what was opened is not read from another run that is in its place by then', async () => {
    const at = copy(() => {});
    const opened = await openRun(at);
    // The same run at a later time is.
    rmSync(at, { recursive: true });
    cpSync(run, at, { recursive: true });
    assert.ok([...opened.events()].length && opened.mixture().k);
    rmSync(at, { recursive: true });
    const other = withRunJson(({ config }) => {
      config.seed = '7';
    });
    renameSync(other, at);
    const refusal = {
      name: 'UserError',
      message: `${at} has another run than when it was opened: open it again`,
    };
    assert.throws(() => [...opened.events()], refusal);
    assert.throws(() => opened.mixture(), refusal);
    await assert.rejects(opened.draw(), refusal);
    assert.throws(() => opened.result!.labels, /labels\.npy has been replaced or removed/);
  });
});

test('rows that change while they are labelled get no labels', async () => {
  const data = path('changing.npy');
  cpSync(easy.data, data);
  const trained = readTrainedModel(run);
  const hooks = { skipBad: false, log: () => {}, warn: () => {} };
  const source = await openForModel(trained, run, data, hooks);
  const predictor = await openPredictor({ run, trained, source, name: data, soft: false, log: () => {} });
  try {
    cpSync(easy.data, data);
    await assert.rejects(async () => {
      for await (const _ of predictor.pieces());
    }, /changing\.npy changed while it was being read/);
  } finally {
    predictor.close();
  }
});

describe('a run directory from elsewhere', () => {
  test('plot does not write through a link in place of its report', async () => {
    const victim = path('victim');
    mkdirSync(victim);
    writeFileSync(join(victim, 'report.html'), 'mine');
    const at = copy((at) => symlinkSync(victim, join(at, 'report')));
    refused(await plot(at), 'report is a symbolic link', '--out ELSEWHERE');
    assert.deepEqual(readdirSync(victim), ['report.html']);
    assert.equal(readFileSync(join(victim, 'report.html'), 'utf8'), 'mine');
  });

  test('resume removes no folder that its id leads to', async () => {
    const victim = path('victims');
    mkdirSync(victim);
    const away = `/${'../'.repeat(20)}${victim}`;
    for (const change of [{ id: away }, { id: undefined }, { data: { fingerprint: '/../../v' } }]) {
      const at = withRunJson((file) => {
        Object.assign(file, { ...change, result: null, data: { ...file.data, ...change.data } });
        file.files = undefined;
      });
      refused(await resume(at), 'not a valid run.json', change.data ? 'fingerprint' : 'id');
    }
    assert.ok(existsSync(victim));
  });

  test('resume does not cut or lengthen a file of which its event log is another name', async () => {
    const victim = path('victim.txt');
    writeFileSync(victim, 'a line\nand no end of line');
    const at = copy((at) => {
      rmSync(join(at, 'labels.npy'));
      rmSync(join(at, 'events.jsonl'));
      linkSync(victim, join(at, 'events.jsonl'));
    });
    refused(await resume(at), 'events.jsonl has another name too');
    assert.equal(readFileSync(victim, 'utf8'), 'a line\nand no end of line');
  });

  for (const [what, put] of [
    ['a pipe', (file: string) => execFileSync('mkfifo', [file])],
    ['a link to /dev/zero', (file: string) => symlinkSync('/dev/zero', file)],
    [
      'a link to a file elsewhere',
      (file: string) => {
        renameSync(`${file}.old`, path(`outside-${++copies}`));
        symlinkSync(path(`outside-${copies}`), file);
      },
    ],
  ] as const) {
    test(`${what} in place of a file is refused, not waited for`, async () => {
      const put_ = (name: string) =>
        copy((at) => {
          renameSync(join(at, name), join(at, `${name}.old`));
          put(join(at, name));
        });
      const tried = (name: string, act: (at: string) => Promise<unknown>) =>
        oneLine(act(put_(name)), name, /is not a regular file|is a link that leads out/);
      for (const name of ['run.json', MODEL]) await tried(name, predicted);
      await tried('run.json', openRun);
      await tried('events.jsonl', async (at) => [...(await openRun(at)).events()]);
      await tried('labels.npy', async (at) => (await openRun(at)).result!.labels);
      for (const name of ['weights', 'means', 'covariances', 'counts'])
        await tried(`mixture/${name}.npy`, async (at) => (await openRun(at)).mixture());
      refused(await plot(put_('events.jsonl')), 'events.jsonl');
      refused(await plot(put_('labels.npy')), 'labels.npy');
      const [newest] = readdirSync(join(run, 'checkpoints')).sort().reverse();
      const { code, stderr } = await plot(put_(`checkpoints/${newest}`));
      assert.equal(code, 0, stderr);
      assert.match(stderr, new RegExp(`${newest} cannot be used: .*(is not a regular file|leads out)`));
    });
  }

  test('a report is not drawn into another directory than that of the run', async () => {
    const at = copy(() => {});
    const directory = { device: '1', inode: '1' };
    await assert.rejects(
      writeReport(at, { version: '0.1.0', directory }, READ_FILES),
      /is no longer the directory/,
    );
    assert.equal(existsSync(join(at, 'report')), false);
  });

  test('its config and its shape are checked by whoever opens it', async () => {
    for (const [change, says] of [
      [{ config: { seed: 'none' } }, 'run.json: seed none must be a whole number'],
      [{ config: { data: 5 } }, 'run.json: data 5 must be a string'],
      [{ config: { alpha: `a\n${'b'.repeat(1000)}` } }, 'run.json: alpha a\ufffdb'],
      [{ config: { shards: 1e15 } }, 'not a valid run.json (data: '],
      [{ data: { rows: 0 } }, 'not a valid run.json (data: '],
      [{ data: { blockRows: 0 } }, 'not a valid run.json (data: '],
      [{ identity: 'wasm\ndpmesh: all is well' }, 'not a valid run.json (identity)'],
      [{ format: 9, dpmesh: '9.0.0\ndpmesh: all is well' }, 'the version that wrote it (9.0.0\ufffd'],
    ] as [object, string][]) {
      const at = withRunJson((file) => {
        for (const [key, value] of Object.entries(change))
          file[key] = typeof value === 'object' ? { ...file[key], ...value } : value;
      });
      await oneLine(openRun(at), says);
      if (says.includes('none')) refused(await plot(at), says);
    }
  });

  test('its events are checked line by line', async () => {
    for (const bad of [
      '{"type":"epoch","time":"2026-01-01T00:00:00Z","epoch":1}',
      '{"type":"warning","time":{},"message":"x"}',
      'null',
      '[[[',
    ]) {
      const at = copy((at) => {
        rmSync(join(at, 'labels.npy'));
        appendFileSync(join(at, 'events.jsonl'), `${bad}\n`);
      });
      const { events } = await openRun(at);
      assert.throws(() => [...events()], { name: 'UserError', message: /line \d+ is not an event of a run/ });
      const { code, stderr } = await resume(at);
      assert.equal(code, 0, stderr);
    }
  });

  test('of a run.json that is too large nothing is parsed', async () => {
    const at = copy((at) => writeFileSync(join(at, 'run.json'), `[${'1,'.repeat(24 << 20)}1]`));
    for (const act of [openRun, predicted])
      await assert.rejects(act(at), {
        name: 'UserError',
        message: /run\.json has 50331651 bytes, and should/,
      });
    await assert.rejects(configOf({ config: join(at, 'run.json') }), { message: /has 50331651 bytes/ });
  });

  test('one of a table in 20,000 files, with outliers in 9,000 columns, is read by all', async () => {
    const at = withRunJson(({ data }) => {
      const parts = Array.from({ length: 20_000 }, (_, i) => ({
        name: `a part of many measurements ${i}`,
        bytes: 1e6,
      }));
      data.table = { fill: null, categories: {}, dropped: 0, parts };
      data.fences = Array.from({ length: 9000 }, () => ({
        column: 0,
        low: -1e9,
        high: 1e9,
        least: -1e9,
        most: 1e9,
      }));
    });
    assert.equal((await openRun(at)).result?.k, K);
    assert.equal((await predicted(at)).rows, ROWS);
    assert.ok('splitMergeEvery' in (await configOf({ config: join(at, 'run.json') })));
    for (const done of [await plot(at), await resume(at)]) assert.equal(done.code, 0, done.stderr);
  });

  test('its text is only text, and its result has numbers', async () => {
    const sequence = '\x1b]52;c;bWluZQ==\x07';
    for (const key of ['nmi', 'k', 'seconds'])
      for (const value of [sequence, undefined, {}]) {
        const at = withRunJson(({ result }) => {
          result[key] = value;
        });
        await oneLine(openRun(at), `run.json is not a valid run.json (result.${key})`);
      }
    const at = withRunJson(({ result }) => delete result.nmi);
    refused(await resume(at), 'result.nmi');
    refused(await plot(at), 'result.nmi');
    const gone = withRunJson((file) => {
      file.config.data = `${sequence}.npy`;
      file.config.labels = `${sequence}-y.npy`;
      file.versions.node = `<script>${sequence}`;
    });
    const { code, stdout, stderr } = await plot(gone);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /(?![\n\t])\p{Cc}/u);
    const page = readFileSync(join(gone, 'report/report.html'), 'utf8');
    // The one that the page's own policy allows by its hash; text of the run that looks like one is not among them.
    const scripts = [...page.matchAll(/<script\b[^>]*>/g)].map(([tag]) => tag);
    assert.deepEqual(scripts, ['<script type="application/json" id="saved-run">', '<script>']);
    assert.ok(!page.includes(sequence));
  });
});
