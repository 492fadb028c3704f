// deploy/compose.yaml: read by the real docker-compose; the commands of its services run.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { scratch } from '../e2e/support.ts';
import { begin, type Place, place, proves, without } from './commands.ts';

const folder = scratch();
describe('compose', { skip: without('docker-compose') }, () => {
  // biome-ignore lint/suspicious/noExplicitAny: docker-compose has checked it.
  let services: any;
  let at: Place;
  before(async () => {
    const text = execFileSync('docker-compose', ['-f', 'deploy/compose.yaml', 'config'], {
      encoding: 'utf8',
    });
    services = parse(text).services;
    at = await place(folder);
  });

  test('what it mounts and builds from is there', () => {
    for (const { volumes = [], build } of Object.values<{
      volumes?: { type: string; source: string }[];
      build?: { context: string; dockerfile: string };
    }>(services)) {
      if (build) assert.ok(existsSync(join(build.context, build.dockerfile)));
      // The folder of the rows is the user's.
      for (const { type, source } of volumes)
        if (type === 'bind' && !source.endsWith('/data')) assert.ok(existsSync(source), source);
    }
    assert.equal(services.worker.deploy.replicas, 2);
    for (const { ports = [] } of Object.values<{ ports?: { host_ip: string }[] }>(services))
      for (const { host_ip } of ports) assert.equal(host_ip, '127.0.0.1');
  });

  test('Grafana has no password that is known beforehand', () => {
    const { entrypoint, command, environment } = services.grafana;
    assert.equal(environment.GF_SECURITY_ADMIN_PASSWORD, undefined);
    // docker-compose keeps its dollars doubled where it only shows them.
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

  test('the commands of its services: killed on the way, the bytes of a local run', async () => {
    const moved: Record<string, string> = {
      'tcp://*:5555': `tcp://127.0.0.1:${at.ports[0]}`,
      'coordinator:5555': `127.0.0.1:${at.ports[0]}`,
      ':9464': `:${at.ports[1]}`,
      '/etc/dpmesh/run.yaml': join(at.folder, 'run.yaml'),
    };
    for (const name of ['keys', 'worker-key', 'runs', 'data']) {
      moved[`/${name}/`] = `${join(at.folder, name)}/`;
      mkdirSync(join(at.folder, name), { mode: 0o700 });
    }
    moved[' /keys;'] = ` ${join(at.folder, 'keys')};`;
    cpSync(at.data, join(at.folder, 'data', 'rows.npy'));
    writeFileSync(join(at.folder, 'run.yaml'), at.runYaml(join(at.folder, 'data', 'rows.npy')));
    const command = (name: string) => ({
      argv: [...(services[name].entrypoint ?? ['dpmesh']), ...services[name].command].map((text) =>
        text === '/keys' ? join(at.folder, 'keys') : text,
      ),
      moved,
    });
    // Twice: as the second time it is brought up.
    for (let time = 0; time < 2; time++) {
      const keys = begin(command('keys'), at.folder);
      assert.equal(await keys.ended, 0, keys.said());
    }
    await proves(command('coordinator'), command('worker'), join(at.folder, 'runs', 'run'), at);
    assert.equal(statSync(join(at.folder, 'runs', 'run.token')).mode & 0o777, 0o600);
  });
});
