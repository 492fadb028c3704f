import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kebabCase } from '../../base/text.ts';
import { type OptionValues, resolveConfig } from '../../run/config.ts';
import { options } from '../../run/options.ts';

test('options that are left out or null have the default of the schedule', () => {
  const fast = resolveConfig({ data: 'x.npy', lr: null });
  assert.deepEqual([fast.schedule, fast.lr, fast.sample, fast.priorScale], ['fast', 0.01, null, 1]);
  const paper = resolveConfig({ data: 'x.npy', schedule: 'paper', freeze: 1 });
  assert.deepEqual([paper.lr, paper.sample, paper.freeze, paper.priorScale], [5e-4, 0, 1, 0.005]);
  for (const [priorScaleChoice, priorScale] of [
    ['learned', 1],
    ['data-cov', 0.3],
    ['isotropic', 0.005],
    ['data-std', 0.005],
  ] as const)
    assert.equal(resolveConfig({ data: 'x.npy', priorScaleChoice }).priorScale, priorScale);
  assert.deepEqual([fast.priorScaleChoice, fast.transform, fast.maxEpochs], ['learned', 'auto', 500]);
  assert.deepEqual(
    [paper.priorScaleChoice, paper.transform, paper.maxEpochs, paper.shards],
    ['isotropic', 'auto', 300, 1],
  );
  assert.deepEqual(
    Object.keys(fast),
    options.map(([name]) => name),
  );
});

test('resolving a config again does not change it, as resuming requires', () => {
  const values: OptionValues = {
    data: 'x.npy',
    hidden: [50, 20],
    seed: '7',
    transform: 'pca:3',
    earlyStop: false,
  };
  const config = resolveConfig(values);
  assert.deepEqual({ ...config, ...values }, config);
  assert.deepEqual(resolveConfig(config), config);
});

test('values may be text, numbers or lists, as in flags, files and programs', () => {
  for (const hidden of ['50', 50, [50]])
    assert.deepEqual(resolveConfig({ data: 'x.npy', hidden }).hidden, [50]);
  for (const seed of ['7', 7, 7n]) assert.equal(resolveConfig({ data: 'x.npy', seed }).seed, '7');
});

test('pca has a number of axes, or a share below 1', () => {
  for (const transform of ['pca:1', 'pca:16', 'pca:0.95', 'pca:.5', 'pca:0.905'])
    assert.equal(resolveConfig({ data: 'x', transform }).transform, transform);
  for (const transform of ['pca:0', 'pca:0.0', 'pca:1.0', 'pca:1.5', 'pca:-1', 'pca:', 'pca:95%', 'pca:1e-1'])
    assert.throws(
      () => resolveConfig({ data: 'x', transform }),
      /--transform pca:\S* must be .*pca:<share> such as pca:0\.95/,
    );
});

test('a size of images has a width and a height', () => {
  for (const imageSize of [28, '28', '28x28', 28n])
    assert.equal(resolveConfig({ data: 'x', imageSize }).imageSize, '28x28');
  assert.equal(resolveConfig({ data: 'x', imageSize: '32x24' }).imageSize, '32x24');
  assert.equal(resolveConfig({ data: 'x' }).imageSize, null);
  for (const imageSize of ['0', '28x', 'x28', '28x28x3', '28 x 28', 2000, -1, 1.5, [28, 28], '28X28'])
    assert.throws(() => resolveConfig({ data: 'x', imageSize }), /--image-size .* must be pixels such as 28/);
});

test('an invalid value is a UserError with the name of its flag or key', () => {
  const assertRejected = (values: object, message: string, displayName?: (name: string) => string) =>
    assert.throws(() => resolveConfig({ data: 'x.npy', ...values }, displayName), {
      name: 'UserError',
      message,
    });
  assertRejected({ subLr: -1 }, '--sub-lr -1 must be above 0');
  assertRejected({ subLr: -1 }, 'subLr -1 must be above 0', (name) => name);
  assertRejected({ maxEpochs: 1.5 }, '--max-epochs 1.5 must be a whole number, at least 1');
  assertRejected({ covariance: 'round' }, '--covariance round must be one of full, diag');
  assertRejected({ hidden: [50, 0] }, '--hidden 50,0 must be layer widths such as 50 or 50,50');
  assertRejected({ lr: { a: 1 } }, '--lr {"a":1} must be a number');
  const itself: unknown[] = [];
  itself.push(itself);
  assertRejected({ lr: itself }, '--lr an object must be a number');
  assertRejected(
    { data: '' },
    '--data is missing: the rows to cluster, a file of arrays or a table, or a folder of images',
  );
});

test('an object where text or a number belongs is rejected, also one that has no text', () => {
  const objects = [{ toString: 1 }, { toJSON: 1 }, Object.create(null), [[7]], [{ toString: 1 }], true];
  for (const [name, { type }] of options)
    for (const value of objects)
      if (type !== 'boolean' || value !== true)
        assert.throws(
          () => resolveConfig({ data: 'x.npy', [name]: value }),
          ({ message }: Error) =>
            message.startsWith(`--${kebabCase(name)} ${JSON.stringify(value)} must be `),
        );
  for (const seed of [[7], ['7']])
    assert.throws(
      () => resolveConfig({ data: 'x.npy', seed }),
      /^UserError: --seed 7 must be a whole number/,
    );
});

test('every default is a valid value', () => {
  for (const [name, { fast, paper }] of options)
    for (const value of [fast, paper]) resolveConfig({ [name]: value, data: 'x.npy' });
});
