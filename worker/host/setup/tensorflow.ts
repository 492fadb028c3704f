import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { remove } from '../../../base/files.ts';
import { UserError } from '../../../base/user-error.ts';
import { BINDING, QUIET, setUpTensorflow } from '../../compute/installed.ts';
import { pipArguments, tensorflowVersion } from './locks.ts';
import { installFromNpm, loadCheck, runProgram, withProgress, works } from './programs.ts';
import { assertDiskSpace, install, makeStagingFolder, setupFolder, writeManifest } from './setup-folder.ts';

/** `dpmesh setup tensorflow`: downloads by locked hashes, compiles the binding, and checks that it loads. */

/** Bytes of disk space needed during the setup; the result takes a third of it. */
const DISK_SPACE = { cpu: 2e9, cuda: 10e9 };
const PACKAGE = 'node_modules/@tensorflow/tfjs-node-gpu';

/** TensorFlow writes to stderr while it loads, whatever its log level: this addon redirects stderr and restores it. */
const QUIET_SOURCE = `#include <node_api.h>
#include <fcntl.h>
#include <unistd.h>
static int kept = -1;
static napi_value hush(napi_env, napi_callback_info) {
  int nowhere = open("/dev/null", O_WRONLY);
  if (kept < 0 && nowhere >= 0) { kept = dup(2); dup2(nowhere, 2); }
  if (nowhere >= 0) close(nowhere);
  return nullptr;
}
static napi_value restore(napi_env, napi_callback_info) {
  if (kept >= 0) { dup2(kept, 2); close(kept); kept = -1; }
  return nullptr;
}
NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "hush", NAPI_AUTO_LENGTH, hush, nullptr, &function);
  napi_set_named_property(env, exports, "hush", function);
  napi_create_function(env, "restore", NAPI_AUTO_LENGTH, restore, nullptr, &function);
  napi_set_named_property(env, exports, "restore", function);
  return exports;
}
`;

/** File names and linker flags by platform. TensorFlow for Windows has no library to link against. */
const LINUX = {
  libraries: ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'],
  link: (folder: string, names: string[]) => [`-L${folder}`, ...names.map((name) => `-l:${name}`)],
  origin: '$ORIGIN',
};
const MACOS = {
  libraries: ['libtensorflow_cc.2.dylib', 'libtensorflow_framework.2.dylib'],
  link: (folder: string, names: string[]) => [
    '-undefined',
    'dynamic_lookup',
    ...names.map((name) => join(folder, name)),
  ],
  origin: '@loader_path',
};

/**
 * Installs TensorFlow from PyPI and compiles the binding of tfjs-node-gpu against it, in a folder of their own. Does nothing
 * if a working setup exists. If tools are missing: a UserError that names all of them, before anything is downloaded.
 */
export async function setupTensorflow({ cuda, dir }: { cuda: boolean; dir?: string }): Promise<void> {
  const folder = setupFolder('tensorflow', dir);
  if (await isReady(folder, cuda, dir !== undefined)) return;
  if (process.platform === 'win32')
    throw new UserError(
      'setup tensorflow does not work on Windows, as TensorFlow has no library to link against there; run dpmesh in WSL2, or: dpmesh setup webgpu',
    );
  if (cuda && process.platform !== 'linux')
    throw new UserError('--cuda: TensorFlow supports CUDA on Linux and WSL2 only; leave --cuda out');
  const { python, compiler } = await tools();
  assertDiskSpace(folder, cuda ? DISK_SPACE.cuda : DISK_SPACE.cpu);
  const staging = makeStagingFolder(folder);
  try {
    await download(staging, python, cuda);
    await compile(staging, compiler);
    prune(staging);
    install('tensorflow', staging, folder);
  } catch (error) {
    remove(staging);
    throw error;
  }
  const { version, gpu } = await withProgress('loading TensorFlow', () =>
    loadCheck(join(folder, BINDING), join(folder, QUIET)),
  );
  const { libraries } = platform();
  const files = [BINDING, QUIET, ...libraries.map((name) => `py/tensorflow/${name}`)];
  writeManifest('tensorflow', { dir: folder, version, cuda, files });
  console.error(
    `TensorFlow ${version} is set up in ${folder}; ${cuda ? (gpu ? 'it sees a GPU' : 'it sees no GPU: run dpmesh doctor') : 'it computes on the CPU'}`,
  );
}

const platform = () => (process.platform === 'darwin' ? MACOS : LINUX);

/** Is there a complete setup that loads? Prints that, or what is wrong with it. `inDir`: it has to be in `folder`. */
async function isReady(folder: string, cuda: boolean, inDir: boolean): Promise<boolean> {
  if (process.env.DPMESH_TFJS)
    throw new UserError('DPMESH_TFJS is set, so dpmesh would not use this setup; unset it first');
  const installed = setUpTensorflow();
  if (!installed) return false;
  if ('problem' in installed) {
    console.error(`the existing setup is broken and is replaced: ${installed.problem.split(';')[0]}`);
    return false;
  }
  if ((cuda && !installed.cuda) || (inDir && installed.dir !== folder)) return false;
  try {
    const { gpu } = await loadCheck(installed.binding, installed.quiet);
    const cudaNote = installed.cuda ? ` with CUDA${gpu ? '' : ' (it sees no GPU: run dpmesh doctor)'}` : '';
    console.error(
      `TensorFlow ${installed.version}${cudaNote} is already set up in ${installed.dir}; nothing to do`,
    );
    return true;
  } catch (error) {
    console.error(`the existing setup is broken and is replaced: ${(error as Error).message.split('\n')[0]}`);
    return false;
  }
}

/** The programs that the setup needs. UserError that names all missing ones. */
async function tools(): Promise<{ python: string; compiler: string }> {
  const { PYTHON, CXX } = process.env;
  const first = async (commands: (string | undefined)[]) => {
    for (const command of commands) if (command && (await works(command, '--version'))) return command;
  };
  const python = await first([PYTHON, 'python3', 'python']);
  const compiler = await first([CXX, 'g++', 'c++', 'clang++']);
  const pip =
    python &&
    ((await works(python, '-m', 'pip', '--version')) ||
      (await works(python, '-c', 'import venv, ensurepip')));
  const missing = [
    ...(python ? [] : ['python3 (Debian: apt install python3 python3-venv)']),
    ...(python && !pip ? ['pip or venv for python3 (Debian: apt install python3-venv)'] : []),
    ...(compiler ? [] : ['a C++ compiler (Debian: apt install g++)']),
    ...((await works('npm', '--version')) ? [] : ['npm']),
  ];
  if (!python || !compiler || missing.length)
    throw new UserError(`setup tensorflow needs programs that are missing here: ${missing.join('; ')}`);
  return { python, compiler };
}

async function download(staging: string, python: string, cuda: boolean): Promise<void> {
  // pip's large temporary files go to the disk whose free space was checked.
  const env = { TMPDIR: join(staging, 'tmp') };
  mkdirSync(env.TMPDIR);
  let pip = python;
  if (!(await works(python, '-m', 'pip', '--version'))) {
    const remedy = 'install pip for python3 (Debian: apt install python3-pip)';
    await withProgress('creating a Python environment', () =>
      runProgram(python, ['-m', 'venv', join(staging, 'venv')], { remedy }),
    );
    pip = join(staging, 'venv/bin/python');
  }
  const quietly = [
    ...['--quiet', '--no-input', '--no-compile', '--disable-pip-version-check'],
    ...['--root-user-action=ignore', '--target', join(staging, 'py')],
  ];
  const version = tensorflowVersion();
  await withProgress(`TensorFlow ${version}${cuda ? ' and CUDA' : ''} from PyPI`, () =>
    runProgram(pip, ['-m', 'pip', ...pipArguments(cuda), ...quietly], {
      env,
      remedy: `see the output of pip below; TensorFlow ${version} needs a wheel for this Python (choose another with PYTHON=python3.x) and access to PyPI`,
    }),
  );
  await installFromNpm('tensorflow', staging);
}

/** Compiles both addons. They look for TensorFlow relative to themselves, so that the folder may be moved. */
async function compile(staging: string, compiler: string): Promise<void> {
  const { libraries, link, origin } = platform();
  const tensorflow = join(staging, 'py/tensorflow');
  const missing = libraries.find((name) => !existsSync(join(tensorflow, name)));
  if (missing)
    throw new UserError(
      `the tensorflow package from PyPI has no ${missing}, so the binding cannot be linked`,
    );
  writeFileSync(join(staging, 'quiet.cc'), QUIET_SOURCE);
  mkdirSync(join(staging, PACKAGE, 'lib/napi-v8'), { recursive: true });
  const flags = [
    ...['-O2', '-std=c++17', '-shared', '-fPIC', '-w', '-DNAPI_VERSION=8'],
    ...[`-I${join(staging, 'node_modules/node-api-headers/include')}`, `-I${join(tensorflow, 'include')}`],
  ];
  const remedy = 'see its output below; the C++ compiler must support C++17';
  const build = (sources: string[], out: string, names: string[], up: string) =>
    runProgram(
      compiler,
      [
        ...[...flags, ...sources.map((source) => join(staging, source)), '-o', join(staging, out)],
        ...[...link(tensorflow, names), `-Wl,-rpath,${origin}/${up}py/tensorflow`],
      ],
      { remedy },
    );
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => `${PACKAGE}/binding/${name}`);
  await withProgress('compiling the binding', async () => {
    await build(sources, BINDING, libraries, '../../../../../');
    await build(['quiet.cc'], QUIET, [], '');
  });
}

/** Removes the headers and Python code; keeps the libraries that are loaded, and their licences. */
function prune(staging: string): void {
  const within = (folder: string, keep: RegExp) => {
    for (const name of readdirSync(join(staging, folder)))
      if (!keep.test(name)) remove(join(staging, folder, name));
  };
  within('.', /^(made-by-.*|py|node_modules|package\.json|quiet\.node)$/);
  within('py', /^(tensorflow|nvidia|.*\.dist-info)$/);
  within('py/tensorflow', /^(libtensorflow_.*|THIRD_PARTY_NOTICES.*|LICENSE.*)$/);
  within('node_modules', /^@tensorflow$/);
  within('node_modules/@tensorflow', /^tfjs-node-gpu$/);
}
