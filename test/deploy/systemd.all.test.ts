// deploy/systemd: verifies the units and runs their commands.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { dpmesh, scratch } from '../e2e/support.ts';
import { assertRuns, type DeployCommand, missingTools, setUp, type TestSetup } from './commands.ts';

const folder = scratch();
const UNITS = ['coordinator', 'worker@'].map((name) => `deploy/systemd/dpmesh-${name}.service`);

describe('systemd', () => {
  test('systemd-analyze reports no problem', { skip: missingTools('systemd-analyze') }, () => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', ...UNITS], {
      encoding: 'utf8',
    });
    assert.deepEqual({ status, output: stdout + stderr }, { status: 0, output: '' });
  });

  test('little is exposed', { skip: missingTools('systemd-analyze') }, () => {
    for (const unit of UNITS) {
      const { stdout, stderr } = spawnSync(
        'systemd-analyze',
        ['security', '--offline=true', '--no-pager', unit],
        { encoding: 'utf8' },
      );
      const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? assert.fail(stderr);
      assert.ok(Number(exposure) <= 2.5, stdout);
    }
  });

  test('a mistake ends a unit, a full disk does not', () => {
    for (const unit of UNITS) {
      const text = readFileSync(unit, 'utf8');
      assert.match(text, /^RestartPreventExitStatus=2$/m);
      assert.match(text, /^Restart=(always|on-failure)$/m);
      // Folders that outlive a service whose /tmp is its own.
      assert.match(text, /^StateDirectory=dpmesh$/m);
    }
    assert.match(readFileSync(UNITS[0], 'utf8'), /^RuntimeDirectoryPreserve=yes$/m);
  });

  describe('on two desktops', () => {
    let at: TestSetup;
    before(async () => {
      at = await setUp(folder, 20);
    });

    test('the commands of the units; and once more, when the run is finished: the same bytes as a local run', async () => {
      const home = join(at.folder, 'home');
      mkdirSync(home);
      assert.equal((await dpmesh(['keygen', join(home, 'keys')])).code, 0);
      writeFileSync(join(home, 'run.yaml'), at.runYaml(at.data));
      const address = `tcp://127.0.0.1:${at.ports[0]}`;
      const replacements = {
        '/opt/dpmesh': resolve('.'),
        '/var/lib/dpmesh': home,
        'tcp://*:5555': address,
        '${CONNECT}': address,
        '%H': 'desktop',
        '%i': '1',
      };
      const [coordinator, worker] = UNITS.map((unit): DeployCommand => {
        const text = readFileSync(unit, 'utf8');
        const argv = /^ExecStart=(.*)$/m.exec(text)![1].split(' ');
        const dpmesh = /^Environment="DPMESH=(.*)"$/m.exec(text)?.[1].replace('/opt/dpmesh', resolve('.'));
        // systemd drops an unset variable from the arguments.
        return {
          argv: argv.filter((each) => each !== '$MORE'),
          env: dpmesh ? { DPMESH: dpmesh } : {},
          replacements,
        };
      });
      await assertRuns(coordinator, worker, join(home, 'run'), at);
    });
  });
});
