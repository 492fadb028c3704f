import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../../../base/user-error.ts';
import type { SetupName } from '../../compute/installed.ts';
import { copyNpmLock, NPM, npmPackages } from './locks.ts';

/** Lines of a failed program's output that go into the error. */
const LAST_LINES = 12;
/** Characters of a program's output that are kept. */
const KEPT_OUTPUT = 20_000;

/** On Windows npm is a script, which only a shell can start. */
const needsShell = (command: string) => process.platform === 'win32' && command === 'npm';

/** Program and arguments. The npm of the Python wheel is a script that is on no PATH. */
function startedAs(command: string, args: string[]): [string, string[]] {
  const { DPMESH_NPM } = process.env;
  return command === 'npm' && DPMESH_NPM ? [process.execPath, [DPMESH_NPM, ...args]] : [command, args];
}

const running = new Set<ChildProcess>();
let stopping = false;

/** Kills the running programs; no more are started. */
export function stopPrograms(): void {
  stopping = true;
  for (const child of running) child.kill();
}

/** Runs a program to its end. If it fails: a UserError with `remedy` and the last lines of its output. */
export function runProgram(
  command: string,
  args: string[],
  { cwd, env, remedy }: { cwd?: string; env?: NodeJS.ProcessEnv; remedy: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stopping) return reject(new UserError('stopped'));
    const child = spawn(...startedAs(command, args), {
      cwd,
      env: { ...process.env, ...env },
      shell: needsShell(command),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    const keep = (text: Buffer) => {
      output = (output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) =>
      reject(new UserError(`cannot start ${command}: ${error.message}; ${remedy}`)),
    );
    child.once('close', (code, signal) => {
      running.delete(child);
      if (code === 0 && !stopping) return resolve();
      if (stopping) return reject(new UserError('stopped'));
      const last = output
        .trim()
        .split(/\r?\n|\r/)
        .slice(-LAST_LINES)
        .join('\n    ');
      reject(new UserError(`${command} failed (${signal ?? `exit ${code}`}); ${remedy}\n    ${last}`));
    });
  });
}

/** Installs the packages of npm that a setup needs in `folder`/node_modules. UserError if that fails. */
export function installFromNpm(name: SetupName, folder: string): Promise<void> {
  copyNpmLock(name, folder);
  return withProgress(`${npmPackages(name).join(', ')} from npm`, () =>
    runProgram('npm', NPM, { cwd: folder, remedy: 'see the output of npm below' }),
  );
}

/** Does this command exit with 0? */
export function works(command: string, ...args: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(...startedAs(command, args), { stdio: 'ignore', shell: needsShell(command) });
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
}

/** Runs a step of the setup: prints its title first, then the seconds it took, or that it failed. */
export async function withProgress<T>(title: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  process.stderr.write(`${title} … `);
  try {
    const result = await work();
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  }
}

/** Loads the binding (and, if given, the addon that silences stderr) and multiplies 1 by 1. */
const LOAD_TENSORFLOW = `
if (process.argv[2]) require(process.argv[2]);
const b = require(process.argv[1]);
const one = b.createTensor([1, 1], b.TF_FLOAT, Float32Array.of(1));
const flags = ['transpose_a', 'transpose_b'].map((name) => ({ name, type: b.TF_ATTR_BOOL, value: false }));
const [{ id }] = b.executeOp('MatMul', [...flags, { name: 'T', type: b.TF_ATTR_TYPE, value: b.TF_FLOAT }], [one, one], 1);
if (b.tensorDataSync(id)[0] !== 1) throw new Error('1 × 1 is not 1: wrong result of a matrix product');
console.log(JSON.stringify({ version: b.TF_Version, gpu: b.isUsingGpuDevice() }));
`;

/** Loads the packages that are installed beside the given package.json. */
const LOAD_WEBGPU = `
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
  return JSON.parse(await load('TensorFlow', LOAD_TENSORFLOW, binding, ...(quiet ? [quiet] : [])));
}

/** Loads Dawn and TensorFlow.js' WebGPU backend from a folder, in a child process. UserError with the reason if that fails. */
export async function webgpuLoadCheck(dir: string): Promise<void> {
  await load('webgpu', LOAD_WEBGPU, join(dir, 'package.json'));
}

async function load(what: string, program: string, ...files: string[]): Promise<string> {
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
