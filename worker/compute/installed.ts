import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** The folder of setups, shared by all checkouts: dpmesh's folder in the user's data folder of this platform. */
export function dataFolder(): string {
  const { XDG_DATA_HOME, LOCALAPPDATA } = process.env;
  if (XDG_DATA_HOME) return join(XDG_DATA_HOME, 'dpmesh');
  if (process.platform === 'win32')
    return join(LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'dpmesh');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'dpmesh');
  return join(homedir(), '.local', 'share', 'dpmesh');
}

export type SetupName = 'tensorflow' | 'webgpu';
interface Broken {
  problem: string;
}

/** The file `<data folder>/<name>.json`, which `dpmesh setup` writes when everything else is in place. */
export interface PackageManifest {
  /** The folder of the setup; may be outside of the data folder (`--dir`). */
  dir: string;
  version: string;
  cuda: boolean;
  /** Size in bytes of each file that is loaded, by its path below `dir`. */
  files: Record<string, number>;
}

export interface TensorflowInstallation {
  dir: string;
  version: string;
  /** TensorFlow's version, which is known before it is loaded only if `dpmesh setup` installed it. */
  library?: string;
  cuda: boolean;
  /** The native binding. */
  binding: string;
  /** The addon that silences stderr while TensorFlow loads; only `dpmesh setup` installs one. */
  quiet?: string;
}

export const manifestPath = (name: SetupName) => join(dataFolder(), `${name}.json`);
export const BINDING = 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node';
export const QUIET = 'quiet.node';

/** The manifest of a setup, or what is wrong with the setup; null if there is none. Compares file sizes only. */
function readManifest(name: SetupName): PackageManifest | Broken | null {
  const path = manifestPath(name);
  const broken = (what: string) => ({ problem: `${what}; run: dpmesh setup ${name}` });
  let manifest: PackageManifest;
  try {
    manifest = JSON.parse(readFileSync(path, 'utf8'));
    const { dir, files } = manifest;
    if (typeof dir !== 'string' || typeof files !== 'object' || files === null) throw new Error();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : broken(`${path} cannot be read`);
  }
  for (const [file, bytes] of Object.entries(manifest.files)) {
    const loaded = join(manifest.dir, file);
    try {
      const stat = statSync(loaded, { throwIfNoEntry: false });
      if (stat?.size !== bytes)
        return broken(`${loaded} ${stat ? 'was changed since its setup' : 'is missing'}`);
    } catch {
      return broken(`${loaded} cannot be read`);
    }
  }
  return manifest;
}

/**
 * The TensorFlow that DPMESH_TFJS points at, that `dpmesh setup tensorflow` installed, or of the tfjs-node-gpu that was installed beside
 * dpmesh; null if none. Costs a few calls of stat; it may still fail to load.
 */
export function findTensorflow(): TensorflowInstallation | Broken | null {
  const custom = process.env.DPMESH_TFJS;
  return custom ? customTensorflow(custom) : (setUpTensorflow() ?? peerTensorflow());
}

/** The TensorFlow that `dpmesh setup tensorflow` installed; null if it did not. */
export function setUpTensorflow(): TensorflowInstallation | Broken | null {
  const manifest = readManifest('tensorflow');
  if (!manifest || 'problem' in manifest) return manifest;
  const { dir, version, cuda } = manifest;
  return { dir, version, library: version, cuda, binding: join(dir, BINDING), quiet: join(dir, QUIET) };
}

const PACKAGES = ['tfjs-node-gpu', 'tfjs-node'];

/** An existing tfjs-node or tfjs-node-gpu, by its folder, its node_modules, or the folder that contains these. */
function customTensorflow(path: string): TensorflowInstallation | Broken {
  const candidates = [
    path,
    ...['@tensorflow', 'node_modules/@tensorflow'].flatMap((at) => PACKAGES.map((n) => join(path, at, n))),
  ];
  for (const candidate of candidates) {
    const found = tfjsIn(resolve(candidate));
    if (!found) continue;
    if (!('problem' in found)) return found;
    return { problem: `DPMESH_TFJS=${path}: ${found.problem}; build it, or unset DPMESH_TFJS` };
  }
  return {
    problem: `DPMESH_TFJS=${path} has no @tensorflow/tfjs-node or tfjs-node-gpu; correct it, or unset it`,
  };
}

/** The optional peer dependency, where dpmesh would import it from. */
function peerTensorflow(): TensorflowInstallation | Broken | null {
  let packageJson: string;
  try {
    packageJson = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json');
  } catch {
    return null;
  }
  const found = tfjsIn(dirname(packageJson));
  return found && 'problem' in found
    ? { problem: `${packageJson}: ${found.problem}; build it, or run: dpmesh setup tensorflow` }
    : found;
}

/** The tfjs-node or tfjs-node-gpu in a folder; null if it is neither. */
function tfjsIn(dir: string): TensorflowInstallation | Broken | null {
  let about: { name?: string; version?: string } | null;
  try {
    about = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  } catch {
    return null;
  }
  const { name, version } = about ?? {};
  if (!PACKAGES.some((known) => name === `@tensorflow/${known}`)) return null;
  const binding = ['napi-v8', 'napi-v9', 'napi-v10']
    .map((napi) => join(dir, 'lib', napi, 'tfjs_binding.node'))
    .find((file) => existsSync(file));
  if (!binding) return { problem: `${name} ${version} has no binding in lib/` };
  return { dir, version: `tfjs-node ${version}`, cuda: name!.endsWith('-gpu'), binding };
}

/** The WebGPU packages that `dpmesh setup webgpu` installed, and what loads packages from there; null if it did not. */
export function findWebgpu(): { dir: string; version: string; require: NodeJS.Require } | Broken | null {
  const manifest = readManifest('webgpu');
  if (!manifest || 'problem' in manifest) return manifest;
  const { dir, version } = manifest;
  return { dir, version, require: createRequire(join(dir, 'package.json')) };
}
