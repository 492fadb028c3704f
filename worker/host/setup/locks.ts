import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SetupName } from '../../compute/installed.ts';

/**
 * What setups download: each package, also those that others bring, by its version and the hash of its content (`locks/`,
 * written by `locks/make.sh`). They are those that the tests ran with: others give other bits (another numeric identity) or
 * may not compile together. No code of a package runs during the setup: no install scripts, and wheels only, so no build either.
 */

const locked = (...names: string[]) => fileURLToPath(new URL(`./locks/${names.join('/')}`, import.meta.url));

/** The packages of npm that a setup names itself, as name@version. */
export const npmPackages = (name: SetupName): string[] =>
  Object.entries<string>(JSON.parse(readFileSync(locked(name, 'package.json'), 'utf8')).dependencies).map(
    ([name, version]) => `${name}@${version}`,
  );

/** Puts what npm is to install into the folder: `NPM` there then installs it. */
export function copyNpmLock(name: SetupName, folder: string): void {
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(locked(name, file), join(folder, file));
}

/** Arguments of npm that install what a lock file says; npm fails where a package has another hash. */
export const NPM = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];

/** Arguments of pip that install TensorFlow, with `cuda` and its libraries; nothing else of what it asks for is needed. */
export const pipArguments = (cuda: boolean): string[] => [
  'install',
  '--require-hashes',
  '--no-deps',
  ...['--only-binary', ':all:'],
  ...['--requirement', locked(cuda ? 'tensorflow-cuda.txt' : 'tensorflow.txt')],
];

/** The version of TensorFlow that is installed. */
export const tensorflowVersion = (): string =>
  /^tensorflow==(\S+)/m.exec(readFileSync(locked('tensorflow.txt'), 'utf8'))![1];
