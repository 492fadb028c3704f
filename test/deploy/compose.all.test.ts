// deploy/compose.yaml: parsed by the real docker-compose; runs the commands of its services.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { scratch } from '../e2e/support.ts';
import { assertRuns, begin, missingTools, setUp, type TestSetup } from './commands.ts';

const folder = scratch();
describe('compose', { skip: missingTools('docker-compose') }, () => {
  // biome-ignore lint/suspicious/noExplicitAny: docker-compose has checked it.
  let services: any;
  let at: TestSetup;
  before(async () => {
    const text = execFileSync('docker-compose', ['-f', 'deploy/compose.yaml', 'config'], {
      encoding: 'utf8',
    });
    services = parse(text).services;
    at = await setUp(folder, 20);
  });

  test('mounted files and build contexts exist', () => {
    for (const { volumes = [], build } of Object.values<{
      volumes?: { type: string; source: string }[];
      build?: { context: string; dockerfile: string };
    }>(services)) {
      if (build) assert.ok(existsSync(join(build.context, build.dockerfile)));
      // The user creates the folder of the rows.
      for (const { type, source } of volumes)
        if (type === 'bind' && !source.endsWith('/data')) assert.ok(existsSync(source), source);
    }
    assert.equal(services.worker.deploy.replicas, 2);
    for (const { ports = [] } of Object.values<{ ports?: { host_ip: string }[] }>(services))
      for (const { host_ip } of ports) assert.equal(host_ip, '127.0.0.1');
  });

  test('Grafana has no default password', () => {
    const { entrypoint, command, environment } = services.grafana;
    assert.equal(environment.GF_SECURITY_ADMIN_PASSWORD, undefined);
    // `docker-compose config` leaves dollar signs doubled.
    const script = command[0].replaceAll('$$', '$').replace('/run.sh', 'printenv GF_SECURITY_ADMIN_PASSWORD');
    const passwordOf = (given: string) =>
      execFileSync(entrypoint[0], [...entrypoint.slice(1), script], {
        env: { ...process.env, DPMESH_GRAFANA_PASSWORD: given },
        encoding: 'utf8',
      }).trim();
    assert.equal(passwordOf('mine'), 'mine');
    assert.match(passwordOf(''), /^\S{32}$/);
    assert.notEqual(passwordOf(''), passwordOf(''));
  });

  test('the commands of its services; and once more, when the run is finished: the same bytes as a local run', async () => {
    const replacements: Record<string, string> = {
      'tcp://*:5555': `tcp://127.0.0.1:${at.ports[0]}`,
      'coordinator:5555': `127.0.0.1:${at.ports[0]}`,
      ':9464': `:${at.ports[1]}`,
      '/etc/dpmesh/run.yaml': join(at.folder, 'run.yaml'),
    };
    for (const name of ['keys', 'worker-key', 'runs', 'data']) {
      replacements[`/${name}/`] = `${join(at.folder, name)}/`;
      mkdirSync(join(at.folder, name), { mode: 0o700 });
    }
    replacements[' /keys;'] = ` ${join(at.folder, 'keys')};`;
    cpSync(at.data, join(at.folder, 'data', 'rows.npy'));
    writeFileSync(join(at.folder, 'run.yaml'), at.runYaml(join(at.folder, 'data', 'rows.npy')));
    const command = (name: string) => ({
      argv: [...(services[name].entrypoint ?? ['dpmesh']), ...services[name].command].map((text) =>
        text === '/keys' ? join(at.folder, 'keys') : text,
      ),
      replacements,
    });
    // Twice, as at a second start.
    for (let time = 0; time < 2; time++) {
      const keys = begin(command('keys'), at.folder);
      assert.equal(await keys.ended, 0, keys.stderr());
    }
    await assertRuns(command('coordinator'), command('worker'), join(at.folder, 'runs', 'run'), at);
    assert.equal(statSync(join(at.folder, 'runs', 'run.token')).mode & 0o777, 0o600);
  });
});
