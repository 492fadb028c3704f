// deploy/systemd: the units are clean, and their commands run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { dpmesh, scratch } from '../e2e/support.ts';
import { type Command, type Place, place, proves, without } from './commands.ts';

const folder = scratch();
const UNITS = ['coordinator', 'worker@'].map((name) => `deploy/systemd/dpmesh-${name}.service`);

describe('systemd', () => {
  test('systemd-analyze has nothing to say', { skip: without('systemd-analyze') }, () => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', ...UNITS], {
      encoding: 'utf8',
    });
    assert.deepEqual({ status, said: stdout + stderr }, { status: 0, said: '' });
  });

  describe('on two desktops', () => {
    let at: Place;
    before(async () => {
      at = await place(folder);
    });

    test('the commands of the units: killed on the way, the bytes of a local run', async () => {
      const home = join(at.folder, 'home');
      mkdirSync(home);
      assert.equal((await dpmesh(['keygen', join(home, 'keys')])).code, 0);
      writeFileSync(join(home, 'run.yaml'), at.runYaml(at.data));
      const address = `tcp://127.0.0.1:${at.ports[0]}`;
      const moved = {
        '/opt/dpmesh': resolve('.'),
        '/var/lib/dpmesh': home,
        'tcp://*:5555': address,
        '${CONNECT}': address,
        '%H': 'desktop',
        '%i': '1',
      };
      const [coordinator, worker] = UNITS.map((unit): Command => {
        const text = readFileSync(unit, 'utf8');
        const argv = /^ExecStart=(.*)$/m.exec(text)![1].split(' ');
        const dpmesh = /^Environment="DPMESH=(.*)"$/m.exec(text)?.[1].replace('/opt/dpmesh', resolve('.'));
        // A variable that is not set is no argument.
        return {
          argv: argv.filter((each) => each !== '$MORE'),
          env: dpmesh ? { DPMESH: dpmesh } : {},
          moved,
        };
      });
      await proves(coordinator, worker, join(home, 'run'), at);
    });
  });
});
