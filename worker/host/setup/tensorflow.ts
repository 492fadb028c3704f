import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../../base/user-error.ts';
import { BINDING, findTensorflow, QUIET } from '../../compute/installed.ts';
import { loadCheck } from './load-check.ts';
import { assertRoom, discard, moveToPlace, placeOf, workshop, writeManifest } from './place.ts';
import { runProgram, shown, works } from './steps.ts';
import { NODE_API, NPM, PIP, TENSORFLOW, TFJS_NODE } from './versions.ts';

/** Bytes on disk while it is being made; a third of it is left in the end. */
const ROOM = { cpu: 2e9, cuda: 10e9 };
const PACKAGE = 'node_modules/@tensorflow/tfjs-node-gpu';

/**
 * TensorFlow speaks on stderr while it is loaded, whatever its log level is: this sends stderr away and brings it back.
 */
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

/** The platform's file names and flags. TensorFlow for Windows has no library to link with. */
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
 * TensorFlow of PyPI and a binding of tfjs-node-gpu compiled against it, in a folder of their own. Where a sound setup is
 * there already, nothing is done. UserError, naming all that is missing, before anything is downloaded.
 */
export async function setupTensorflow({ cuda, dir }: { cuda: boolean; dir?: string }): Promise<void> {
  const place = placeOf('tensorflow', dir);
  if (await isSound(place, cuda, dir !== undefined)) return;
  if (process.platform === 'win32')
    throw new UserError(
      'TensorFlow on Windows cannot be linked with; run dpmesh in WSL2, or: dpmesh setup webgpu',
    );
  if (cuda && process.platform !== 'linux')
    throw new UserError('--cuda: there is CUDA on Linux and WSL2 only');
  const { python, compiler } = await tools();
  assertRoom(place, cuda ? ROOM.cuda : ROOM.cpu);
  const made = workshop(place);
  try {
    await download(made, python, cuda);
    await compile(made, compiler);
    prune(made);
    moveToPlace('tensorflow', made, place);
  } catch (error) {
    discard(made);
    throw error;
  }
  const { version, gpu } = await shown('loading it', () =>
    loadCheck(join(place, BINDING), join(place, QUIET)),
  );
  const { libraries } = platform();
  const files = [BINDING, QUIET, ...libraries.map((name) => `py/tensorflow/${name}`)];
  writeManifest('tensorflow', { dir: place, version, cuda, files });
  console.error(
    `TensorFlow ${version} is set up in ${place}; ${cuda ? (gpu ? 'it sees a GPU' : 'it sees no GPU: see dpmesh doctor') : 'it computes on the CPU'}`,
  );
}

const platform = () => (process.platform === 'darwin' ? MACOS : LINUX);

/** Is it all there and does it load? Says so; says what is wrong with one that is not. */
async function isSound(place: string, cuda: boolean, asked: boolean): Promise<boolean> {
  if (process.env.DPMESH_TFJS)
    throw new UserError('DPMESH_TFJS is set, so a setup would not be used; unset it first');
  const found = findTensorflow();
  if (!found) return false;
  if ('problem' in found) {
    console.error(`the setup is broken and made again: ${found.problem.split(';')[0]}`);
    return false;
  }
  if ((cuda && !found.cuda) || (asked && found.dir !== place)) return false;
  try {
    const { gpu } = await loadCheck(found.binding, found.quiet);
    const sees = found.cuda ? `, with CUDA${gpu ? '' : ' (it sees no GPU: see dpmesh doctor)'}` : '';
    console.error(`TensorFlow ${found.version}${sees} is set up in ${found.dir}; nothing to do`);
    return true;
  } catch (error) {
    console.error(`the setup is broken and made again: ${(error as Error).message.split('\n')[0]}`);
    return false;
  }
}

/** What is used of the machine. UserError naming all that is missing. */
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
    throw new UserError(`setup tensorflow needs what is missing here: ${missing.join('; ')}`);
  return { python, compiler };
}

async function download(made: string, python: string, cuda: boolean): Promise<void> {
  // Its large temporary files go to the disk that was looked at.
  const env = { TMPDIR: join(made, 'tmp') };
  mkdirSync(env.TMPDIR);
  let pip = python;
  if (!(await works(python, '-m', 'pip', '--version'))) {
    const remedy = 'install pip for python3 (Debian: apt install python3-pip)';
    await shown('making a Python environment', () =>
      runProgram(python, ['-m', 'venv', join(made, 'venv')], { remedy }),
    );
    pip = join(made, 'venv/bin/python');
  }
  const plain = process.platform === 'linux' && process.arch === 'x64' ? 'tensorflow-cpu' : 'tensorflow';
  const name = `${cuda ? 'tensorflow[and-cuda]' : plain}==${TENSORFLOW}`;
  const wanted = cuda ? [name] : ['--no-deps', name];
  const quietly = [
    ...PIP,
    '--quiet',
    '--no-input',
    '--no-compile',
    '--disable-pip-version-check',
    '--root-user-action=ignore',
  ];
  await shown(`${name} from PyPI`, () =>
    runProgram(pip, ['-m', 'pip', 'install', ...quietly, '--target', join(made, 'py'), ...wanted], {
      env,
      remedy: `see pip’s last lines; has TensorFlow ${TENSORFLOW} a wheel for this Python (PYTHON=python3.x takes another), and is there a way to PyPI?`,
    }),
  );
  writeFileSync(join(made, 'package.json'), '{ "private": true }\n');
  const packages = [TFJS_NODE, NODE_API];
  await shown(`${packages.join(' and ')} from npm`, () =>
    runProgram('npm', [...NPM, ...packages], {
      cwd: made,
      remedy: 'see npm’s last lines',
    }),
  );
}

/** Both addons. Where they look for TensorFlow is told relative to them, so that the folder may be moved. */
async function compile(made: string, compiler: string): Promise<void> {
  const { libraries, link, origin } = platform();
  const tensorflow = join(made, 'py/tensorflow');
  const missing = libraries.find((name) => !existsSync(join(tensorflow, name)));
  if (missing)
    throw new UserError(`the tensorflow package has no ${missing}, with which the binding is linked`);
  writeFileSync(join(made, 'quiet.cc'), QUIET_SOURCE);
  mkdirSync(join(made, PACKAGE, 'lib/napi-v8'), { recursive: true });
  const flags = [
    ...['-O2', '-std=c++17', '-shared', '-fPIC', '-w', '-DNAPI_VERSION=8'],
    ...[`-I${join(made, 'node_modules/node-api-headers/include')}`, `-I${join(tensorflow, 'include')}`],
  ];
  const remedy = 'see its last lines; the C++ compiler must know C++17';
  const build = (sources: string[], out: string, names: string[], up: string) =>
    runProgram(
      compiler,
      [
        ...[...flags, ...sources.map((source) => join(made, source)), '-o', join(made, out)],
        ...[...link(tensorflow, names), `-Wl,-rpath,${origin}/${up}py/tensorflow`],
      ],
      { remedy },
    );
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => `${PACKAGE}/binding/${name}`);
  await shown('compiling the binding', async () => {
    await build(sources, BINDING, libraries, '../../../../../');
    await build(['quiet.cc'], QUIET, [], '');
  });
}

/** Headers and Python code have done their work; what is loaded stays, with its licences. */
function prune(made: string): void {
  const within = (folder: string, keep: RegExp) => {
    for (const name of readdirSync(join(made, folder)))
      if (!keep.test(name)) discard(join(made, folder, name));
  };
  within('.', /^(made-by-.*|py|node_modules|package\.json|quiet\.node)$/);
  within('py', /^(tensorflow|nvidia|.*\.dist-info)$/);
  within('py/tensorflow', /^(libtensorflow_.*|THIRD_PARTY_NOTICES.*|LICENSE.*)$/);
  within('node_modules', /^@tensorflow$/);
  within('node_modules/@tensorflow', /^tfjs-node-gpu$/);
}
