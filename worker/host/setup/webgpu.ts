import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { remove } from '../../../base/files.ts';
import { UserError } from '../../../base/user-error.ts';
import { findWebgpu } from '../../compute/installed.ts';
import { installFromNpm, webgpuLoadCheck, withProgress, works } from './programs.ts';
import { assertDiskSpace, install, makeStagingFolder, setupFolder, writeManifest } from './setup-folder.ts';

const DISK_SPACE = 1e9;

/** Installs Dawn and TensorFlow.js' WebGPU kernels in a folder of their own. Does nothing if a working setup exists. */
export async function setupWebgpu({ dir }: { dir?: string }): Promise<void> {
  const folder = setupFolder('webgpu', dir);
  if (await isReady(folder, dir !== undefined)) return;
  if (!(await works('npm', '--version')))
    throw new UserError('setup webgpu needs npm, which is missing here; install it (it comes with Node.js)');
  assertDiskSpace(folder, DISK_SPACE);
  const staging = makeStagingFolder(folder);
  try {
    await installFromNpm('webgpu', staging);
    install('webgpu', staging, folder);
  } catch (error) {
    remove(staging);
    throw error;
  }
  const versionOf = (name: string) =>
    JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version as string;
  const version = `${versionOf('webgpu')}+tfjs-${versionOf('@tensorflow/tfjs-backend-webgpu')}`;
  const arch = process.platform === 'darwin' ? 'universal' : process.arch;
  const native = `node_modules/webgpu/dist/${process.platform}-${arch}/dawn.node`;
  if (!existsSync(join(folder, native)))
    throw new UserError(
      `the webgpu package ${version} does not support ${process.platform} on ${process.arch}`,
    );
  await withProgress('loading WebGPU', () => webgpuLoadCheck(folder));
  writeManifest('webgpu', { dir: folder, version, cuda: false, files: [native] });
  console.error(`webgpu ${version} is set up in ${folder}`);
}

/** Is there a complete setup that loads? Prints that, or what is wrong with it. `inDir`: it has to be in `folder`. */
async function isReady(folder: string, inDir: boolean): Promise<boolean> {
  const broken = (problem: string) => {
    console.error(`the existing setup is broken and is replaced: ${problem}`);
    return false;
  };
  const installed = findWebgpu();
  if (!installed || (inDir && !('problem' in installed) && installed.dir !== folder)) return false;
  if ('problem' in installed) return broken(installed.problem.split(';')[0]);
  try {
    await webgpuLoadCheck(installed.dir);
  } catch (error) {
    return broken((error as Error).message);
  }
  console.error(`webgpu ${installed.version} is already set up in ${installed.dir}; nothing to do`);
  return true;
}
