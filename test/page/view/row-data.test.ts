import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remoteVersionOf } from '../../../page/view/row-data.ts';
import type { RunFile } from '../../../run/run-file.ts';

test('texts at an address that changed between two runs of the same numbers are read again', () => {
  const address = 'https://there/t.csv';
  const run = (id: string, shown?: RunFile['data']['shown']) =>
    ({
      id,
      config: { data: address, texts: `${address}.txt` },
      data: { fingerprint: 'f', shown },
    }) as unknown as RunFile;
  const [one, other] = ['1', '2'].map((sha256) => ({ sha256, version: 'v' }));
  const version = (own: RunFile, from = address) => remoteVersionOf(own, from);
  assert.equal(version(run('a', { data: one })), version(run('b', { data: one })));
  assert.notEqual(version(run('a', { data: one })), version(run('b', { data: other })));
  const texts = `${address}.txt`;
  assert.notEqual(
    version(run('a', { data: one, texts: one }), texts),
    version(run('b', { data: one, texts: other }), texts),
  );
  // What changed during the run, and runs that do not say what they were shown.
  assert.notEqual(version(run('a', { data: null })), version(run('b', { data: null })));
  assert.notEqual(version(run('a')), version(run('b')));
});
