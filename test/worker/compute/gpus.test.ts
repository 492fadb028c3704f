import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { UserError } from '../../../base/user-error.ts';
import { cudaDevice } from '../../../worker/compute/backends/tensorflow.ts';
import {
  chooseDevices,
  devicesOf,
  findGpus,
  firstVisible,
  type Gpu,
  listGpus,
  memoryOf,
  parseGpus,
} from '../../../worker/compute/gpus.ts';
import {
  BROKEN,
  EIGHT,
  fakeNvidiaSmi,
  type Host,
  MIG,
  MISMATCH,
  NO_DEVICES,
  SLICES,
  uuidOf,
} from './nvidia-smi.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-gpus-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const gpusOf = ({ table, list }: Host): Gpu[] => parseGpus(table, list);
const eight = gpusOf(EIGHT);
const mig = gpusOf(MIG);
const refuses = (run: () => unknown, ...says: RegExp[]) =>
  assert.throws(run, (error: Error) => {
    assert.ok(error instanceof UserError, String(error));
    for (const each of says) assert.match(error.message, each);
    return true;
  });

describe('parsing nvidia-smi', () => {
  test('a table of eight GPUs', () => {
    assert.equal(eight.length, 8);
    assert.deepEqual(eight[0], {
      index: 0,
      name: 'NVIDIA H100 80GB HBM3',
      uuid: uuidOf(0),
      memory: 81559,
      driver: '550.54.15',
      mig: [],
    });
  });

  test('MIG instances with their GPU', () => {
    assert.deepEqual(
      mig[0].mig.map(({ index, profile, uuid }) => [index, profile, uuid]),
      [
        [0, '3g.20gb', SLICES[0]],
        [1, '2g.10gb', SLICES[1]],
        [2, '1g.5gb+me', SLICES[2]],
      ],
    );
    assert.deepEqual(mig[1].mig, []);
  });

  test('MIG instances of drivers before 470', () => {
    const uuid = 'MIG-GPU-b91edf28-1d47-b7c7-4a7c-aca1a5a2a5a1/7/0';
    const list = `GPU 0: A100-SXM4-40GB (UUID: GPU-b91edf28)\n  MIG 1g.5gb Device 0: (UUID: ${uuid})\n`;
    assert.deepEqual(parseGpus(MIG.table, list)[0].mig, [{ index: 0, profile: '1g.5gb', uuid }]);
  });

  test('a line of another format is an error', () => {
    assert.throws(() => parseGpus('0, NVIDIA H100\n', ''), /NVIDIA H100/);
    assert.throws(() => parseGpus('Field "x" is not a valid field to query.\n', ''), /not a valid field/);
  });
});

describe('devices that --gpus selects', () => {
  const names = (asked: string, gpus = eight, visible?: string) =>
    chooseDevices(asked, gpus, visible).map(({ name }) => name);

  test('all, none, a list in its order', () => {
    assert.deepEqual(
      names('all'),
      eight.flatMap(devicesOf).map(({ name }) => name),
    );
    assert.deepEqual(names('none'), []);
    assert.deepEqual(
      chooseDevices('2,0', eight).map(({ name, uuid }) => [name, uuid]),
      [
        ['gpu2', uuidOf(2)],
        ['gpu0', uuidOf(0)],
      ],
    );
  });

  test('a GPU with MIG stands for its instances, each with its own UUID', () => {
    assert.deepEqual(names('all', mig), ['gpu0.0', 'gpu0.1', 'gpu0.2', 'gpu1']);
    assert.deepEqual(names('0', mig), ['gpu0.0', 'gpu0.1', 'gpu0.2']);
    assert.deepEqual(
      chooseDevices('0.2,1', mig).map(({ uuid }) => uuid),
      [SLICES[2], uuidOf(1)],
    );
  });

  test('all is limited to CUDA_VISIBLE_DEVICES, which CUDA reads up to the first unknown entry', () => {
    assert.deepEqual(names('all', eight, '3,1'), ['gpu3', 'gpu1']);
    assert.deepEqual(names('all', eight, `${uuidOf(5)},5`), ['gpu5']);
    assert.deepEqual(names('all', eight, '1,-1,2'), ['gpu1']);
    assert.deepEqual(names('all', eight, ''), []);
    assert.deepEqual(names('all', mig, SLICES[1]), ['gpu0.1']);
    assert.deepEqual(names('3', eight, '1'), ['gpu3'], 'what is named is not restricted');
  });

  test('mistakes', () => {
    refuses(() => chooseDevices('9', eight), /no GPU 9/, /it has 0, 1, 2, 3, 4, 5, 6, 7/);
    refuses(() => chooseDevices('0,2,0', eight), /names GPU 0 twice/, /--per-gpu/);
    refuses(() => chooseDevices('0,00', eight), /names GPU 0 twice/);
    refuses(() => chooseDevices('0.1,0', mig), /names GPU 0\.1 twice/);
    refuses(() => chooseDevices('1.0', mig), /no GPU 1\.0/, /0\.0, 0\.1, 0\.2, 1/);
    for (const odd of ['', 'two', '0-3', '-1', '0,', '1e1'])
      refuses(() => chooseDevices(odd, eight), /must be all, none/);
  });
});

describe('the first device that CUDA makes visible', () => {
  for (const [visible, gpus, model] of [
    [undefined, eight, 'NVIDIA H100 80GB HBM3'],
    [undefined, mig, 'NVIDIA A100-SXM4-40GB MIG 3g.20gb'],
    ['0', mig, 'NVIDIA A100-SXM4-40GB MIG 3g.20gb'],
    ['1', mig, 'NVIDIA A100-SXM4-40GB'],
    ['1,0', mig, 'NVIDIA A100-SXM4-40GB'],
    [uuidOf(1).slice(0, 8), mig, 'NVIDIA A100-SXM4-40GB'],
    [SLICES[2], mig, 'NVIDIA A100-SXM4-40GB MIG 1g.5gb+me'],
    ['MIG-unknown', mig, undefined],
    ['GPU-unknown', eight.slice(0, 1), 'NVIDIA H100 80GB HBM3'],
    [undefined, [], undefined],
  ] as [string | undefined, Gpu[], string | undefined][])
    test(`of ${gpus.flatMap(devicesOf).length}, CUDA_VISIBLE_DEVICES ${visible}`, () =>
      assert.equal(firstVisible(gpus, visible)?.model, model));
});

describe('hosts', { concurrency: false }, () => {
  const path = process.env.PATH;
  after(() => {
    process.env.PATH = path;
  });
  async function on(host: Host | null) {
    process.env.PATH = host
      ? fakeNvidiaSmi(mkdtempSync(join(folder, 'smi-')), host).replace(/:.*$/, ':/bin:/usr/bin')
      : mkdtempSync(join(folder, 'none-'));
    return findGpus();
  }

  test('of eight GPUs, and with MIG', async () => {
    assert.deepEqual(await on(EIGHT), { gpus: eight });
    assert.deepEqual(await on(MIG), { gpus: mig });
  });

  test('memory of a GPU, of an instance, and unknown memory', async () => {
    const mib = 2 ** 20;
    await on(EIGHT);
    assert.deepEqual(await memoryOf(0), { used: 1023 * mib, limit: 81559 * mib });
    assert.deepEqual(await memoryOf(7), { used: 4 * mib, limit: 81559 * mib });
    await on(MIG);
    assert.equal(await memoryOf(0), null);
    assert.deepEqual(await memoryOf(1), { used: 4 * mib, limit: 40960 * mib });
    assert.deepEqual(await memoryOf(0, 1), { used: 9826 * mib, limit: 9856 * mib });
    assert.equal(await memoryOf(0, 7), null);
    await on(BROKEN);
    assert.equal(await memoryOf(0), null);
    assert.equal(await memoryOf(0, 1), null);
  });

  test('the device of a worker pinned to an instance', async () => {
    await on(MIG);
    process.env.CUDA_VISIBLE_DEVICES = SLICES[2];
    const { name, memory } = await cudaDevice();
    delete process.env.CUDA_VISIBLE_DEVICES;
    assert.equal(name, 'NVIDIA A100-SXM4-40GB MIG 1g.5gb+me');
    assert.equal(memory!(), null, 'it does not wait for nvidia-smi');
    for (let i = 0; !memory!() && i < 200; i++) await setTimeout(25);
    assert.deepEqual(memory!(), { used: 13 * 2 ** 20, limit: 4864 * 2 ** 20 });
  });

  for (const [name, host, kind, ...says] of [
    ['without nvidia-smi', null, 'absent', /no nvidia-smi/, /--cpus N/],
    ['with a broken driver', BROKEN, 'broken', /driver does not work/, /restart/],
    [
      'with a driver newer than its kernel module',
      MISMATCH,
      'broken',
      /version mismatch/,
      /^restart the machine$/,
    ],
    ['whose driver sees no GPU', NO_DEVICES, 'none', /finds no GPU/, /container/],
    [
      'whose driver fails otherwise',
      { ...EIGHT, code: 255 },
      'broken',
      /failed with exit code 255/,
      /nvidia-smi/,
    ],
    [
      'that speaks another language',
      { ...EIGHT, table: 'hello\n' },
      'broken',
      /cannot parse the output of nvidia-smi: hello/,
      /./,
    ],
  ] as [string, Host | null, string, RegExp, RegExp][])
    test(name, async () => {
      const listing = await on(host);
      assert.ok('problem' in listing);
      assert.equal(listing.kind, kind);
      assert.match(listing.problem, says[0]);
      assert.match(listing.remedy, says[1]);
      await assert.rejects(listGpus(), UserError);
    });
});
