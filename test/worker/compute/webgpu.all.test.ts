import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findWebgpu } from '../../../worker/compute/installed.ts';

const installed = findWebgpu();
const skip = !installed
  ? 'webgpu is not set up: dpmesh setup webgpu'
  : 'problem' in installed
    ? installed.problem
    : false;

const here = fileURLToPath(new URL('.', import.meta.url));
const tasks = join(here, '../../tasks');
const TOGETHER = new URL('../../together.mjs', import.meta.url).href;
const GROUPS = {
  backends: [join(here, 'backends.test.ts')],
  gradients: [join(here, 'gradients.test.ts')],
  tasks: readdirSync(tasks)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(tasks, name)),
};

// In child processes: Dawn and TensorFlow conflict.
for (const [name, files] of Object.entries(GROUPS))
  test(`${name} on webgpu`, { skip }, async () => {
    const env: NodeJS.ProcessEnv = { ...process.env, DPMESH_TEST_WEBGPU: '1' };
    delete env.NODE_TEST_CONTEXT;
    const flags = ['--test-force-exit', '--test-name-pattern=webgpu/', '--input-type=module', '--eval'];
    // One process for all files of a group: Dawn takes seconds to start.
    const program = `import { together } from '${TOGETHER}'; await together(${JSON.stringify(files)});`;
    const child = spawn(process.execPath, ['--import', 'tsx', ...flags, program], { env });
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
