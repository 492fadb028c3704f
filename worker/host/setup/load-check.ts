import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../../../base/user-error.ts';

/** Loads the binding (and, if given, the addon that silences stderr) and multiplies 1 by 1. */
const TENSORFLOW = `
if (process.argv[2]) require(process.argv[2]);
const b = require(process.argv[1]);
const one = b.createTensor([1, 1], b.TF_FLOAT, Float32Array.of(1));
const flags = ['transpose_a', 'transpose_b'].map((name) => ({ name, type: b.TF_ATTR_BOOL, value: false }));
const [{ id }] = b.executeOp('MatMul', [...flags, { name: 'T', type: b.TF_ATTR_TYPE, value: b.TF_FLOAT }], [one, one], 1);
if (b.tensorDataSync(id)[0] !== 1) throw new Error('1 × 1 is not 1: wrong result of a matrix product');
console.log(JSON.stringify({ version: b.TF_Version, gpu: b.isUsingGpuDevice() }));
`;

/** Loads the packages that are installed beside the given package.json. */
const WEBGPU = `
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const theirs = createRequire(process.argv[1]);
for (const name of ['core', 'backend-webgpu']) theirs('@tensorflow/tfjs-' + name);
import(pathToFileURL(theirs.resolve('webgpu')).href).then(
  () => process.exit(0),
  (error) => { console.error('Error: ' + error.message); process.exit(1); },
);
`;

/** Loads TensorFlow in a child process. UserError with the reason if that fails. */
export async function loadCheck(binding: string, quiet?: string): Promise<{ version: string; gpu: boolean }> {
  return JSON.parse(await run('TensorFlow', TENSORFLOW, binding, ...(quiet ? [quiet] : [])));
}

/** Loads Dawn and TensorFlow.js' WebGPU backend from a folder, in a child process. UserError with the reason if that fails. */
export async function webgpuLoadCheck(dir: string): Promise<void> {
  await run('webgpu', WEBGPU, join(dir, 'package.json'));
}

async function run(what: string, program: string, ...files: string[]): Promise<string> {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
  try {
    const args = ['-e', program, '--', ...files];
    return (await promisify(execFile)(process.execPath, args, { env, timeout: 60_000 })).stdout;
  } catch (error) {
    const { stderr = '', message, signal } = error as Error & { stderr?: string; signal?: string };
    const reason = /^\w*Error: (.*)$/m.exec(stderr)?.[1] ?? signal ?? message.split('\n')[0];
    throw new UserError(`${what} does not load: ${reason}`);
  }
}
