import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findWebgpu } from '../../../worker/compute/installed.ts';

const found = findWebgpu();
const skip = !found
  ? 'webgpu is not set up: dpmesh setup webgpu'
  : 'problem' in found
    ? found.problem
    : false;

// In a process of its own: Dawn and TensorFlow do not bear each other.
for (const name of ['compute/backends', 'compute/gradients', 'tasks'])
  test(`${name} on webgpu`, { skip }, async () => {
    const file = fileURLToPath(new URL(`../${name}.test.ts`, import.meta.url));
    const env: NodeJS.ProcessEnv = { ...process.env, DPMESH_TEST_WEBGPU: '1' };
    delete env.NODE_TEST_CONTEXT;
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--test', '--test-force-exit', '--test-name-pattern=webgpu/', file],
      { env },
    );
    let said = '';
    const keep = (text: Buffer) => {
      said += text;
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const [code] = await once(child, 'close');
    assert.equal(code, 0, said.slice(-4000));
    assert.match(said, /webgpu\//);
  });
