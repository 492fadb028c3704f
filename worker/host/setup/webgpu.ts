import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../../base/user-error.ts';
import { findWebgpu } from '../../compute/installed.ts';
import { webgpuLoadCheck } from './load-check.ts';
import { assertRoom, discard, moveToPlace, placeOf, workshop, writeManifest } from './place.ts';
import { runProgram, shown, works } from './steps.ts';
import { NPM, WEBGPU } from './versions.ts';

const ROOM = 1e9;

/** Dawn and TensorFlow.js' WebGPU kernels, beside the TensorFlow setup. Nothing is done where they are there already. */
export async function setupWebgpu({ dir }: { dir?: string }): Promise<void> {
  const place = placeOf('webgpu', dir);
  if (await isSound(place, dir !== undefined)) return;
  if (!(await works('npm', '--version')))
    throw new UserError('setup webgpu needs npm, which is missing here');
  assertRoom(place, ROOM);
  const made = workshop(place);
  try {
    writeFileSync(join(made, 'package.json'), '{ "private": true }\n');
    await shown(`${WEBGPU.join(', ')} from npm`, () =>
      runProgram('npm', [...NPM, ...WEBGPU], {
        cwd: made,
        remedy: 'see npm’s last lines',
      }),
    );
    moveToPlace('webgpu', made, place);
  } catch (error) {
    discard(made);
    throw error;
  }
  const versionOf = (name: string) =>
    JSON.parse(readFileSync(join(place, 'node_modules', name, 'package.json'), 'utf8')).version as string;
  const version = `${versionOf('webgpu')}+tfjs-${versionOf('@tensorflow/tfjs-backend-webgpu')}`;
  const arch = process.platform === 'darwin' ? 'universal' : process.arch;
  const native = `node_modules/webgpu/dist/${process.platform}-${arch}/dawn.node`;
  if (!existsSync(join(place, native)))
    throw new UserError(
      `the webgpu package ${version} has nothing for ${process.platform} on ${process.arch}`,
    );
  await shown('loading it', () => webgpuLoadCheck(place));
  writeManifest('webgpu', { dir: place, version, cuda: false, files: [native] });
  console.error(`webgpu ${version} is set up in ${place}`);
}

/** Is it all there and does it load? Says so; says what is wrong with one that is not. */
async function isSound(place: string, asked: boolean): Promise<boolean> {
  const broken = (problem: string) => {
    console.error(`the setup is broken and made again: ${problem}`);
    return false;
  };
  const found = findWebgpu();
  if (!found || (asked && !('problem' in found) && found.dir !== place)) return false;
  if ('problem' in found) return broken(found.problem.split(';')[0]);
  try {
    await webgpuLoadCheck(found.dir);
  } catch (error) {
    return broken((error as Error).message);
  }
  console.error(`webgpu ${found.version} is set up in ${found.dir}; nothing to do`);
  return true;
}
