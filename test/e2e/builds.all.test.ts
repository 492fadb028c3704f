// Two builds of one version, of which one has another task.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildId, hashOfSources } from '../../proto/build-id.ts';
import { dpmesh, easyData, eventsOf, ofType, scratch, startCoordinator, until } from './support.ts';

const folder = scratch();
const other = join(folder, 'other');
const hashOf = (root: string) => hashOfSources(pathToFileURL(`${root}/`));

describe('two builds of one version', () => {
  before(() => {
    mkdirSync(other);
    for (const path of ['base', 'data', 'model', 'proto', 'tasks', 'worker', 'dist', 'package.json'])
      cpSync(path, join(other, path), { recursive: true });
    symlinkSync(resolve('node_modules'), join(other, 'node_modules'));
    assert.equal(hashOf(other), hashOf('.'));
    const task = join(other, 'tasks/statistics/compute.ts');
    writeFileSync(task, readFileSync(task, 'utf8').replace('export', '\nexport'));
    writeFileSync(join(other, 'dist/build-id'), hashOf(other));
  });

  test('are told apart by what workers compute; sources and build agree', () => {
    assert.notEqual(hashOf(other), hashOf('.'));
    assert.equal(`${hashOf('.')}\n`, readFileSync('dist/build-id', 'utf8'));
  });

  test('do not share a run: the worker ends and names both; the other build joins, and events have its version', async () => {
    const { data } = easyData(folder, 'rows', 1500);
    const run = join(folder, 'run');
    const { running, address } = await startCoordinator(data, run);
    const worker = (main?: string) =>
      dpmesh(['worker', '--connect', address, '--reconnect-for', 30], { main });
    const { code, stderr } = await worker(join(other, 'dist/cli/main.js'));
    assert.equal(code, 2, stderr);
    assert.ok(
      stderr.includes(
        `it is dpmesh ${buildId().split('+')[0]}+${hashOf(other)}, this coordinator is ${buildId()}`,
      ),
      stderr,
    );
    const joined = worker();
    await until('a worker', () => ofType(eventsOf(run), 'worker').length, running);
    assert.equal(ofType(eventsOf(run), 'worker')[0].version, buildId());
    assert.equal((await running.ended).code, 0);
    assert.equal((await joined).code, 0);
  });
});
