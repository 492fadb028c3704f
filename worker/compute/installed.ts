import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where setups live, so that any checkout finds them again: the user's data folder of this platform. */
export function dataFolder(): string {
  const { XDG_DATA_HOME, LOCALAPPDATA } = process.env;
  if (XDG_DATA_HOME) return join(XDG_DATA_HOME, 'dpmesh');
  if (process.platform === 'win32')
    return join(LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'dpmesh');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'dpmesh');
  return join(homedir(), '.local', 'share', 'dpmesh');
}

export type SetupName = 'tensorflow' | 'webgpu';

/** What `dpmesh setup` writes last, when all else is in its place: `<data folder>/<name>.json`. */
export interface Manifest {
  /** Where it is; may lie outside of the data folder (`--dir`). */
  dir: string;
  version: string;
  cuda: boolean;
  /** Size in bytes of each file that is loaded, by its path below `dir`. */
  files: Record<string, number>;
}

export interface Found {
  dir: string;
  version: string;
  /** TensorFlow's own version, where it is known before it is loaded: that of our own setup. */
  library?: string;
  cuda: boolean;
  /** The native binding. */
  binding: string;
  /** Keeps TensorFlow's first words off stderr; only our own setup has it. */
  quiet?: string;
}

export const manifestPath = (name: SetupName) => join(dataFolder(), `${name}.json`);
export const BINDING = 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node';
export const QUIET = 'quiet.node';

/** The manifest of a setup, or what is wrong with it; null if there is none. Looks at sizes, loads nothing. */
function readManifest(name: SetupName): Manifest | { problem: string } | null {
  const path = manifestPath(name);
  const broken = (what: string) => ({ problem: `${what}; run: dpmesh setup ${name}` });
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(path, 'utf8'));
    const { dir, files } = manifest;
    if (typeof dir !== 'string' || typeof files !== 'object' || files === null) throw new Error();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : broken(`${path} cannot be read`);
  }
  for (const [file, bytes] of Object.entries(manifest.files)) {
    const found = statSync(join(manifest.dir, file), { throwIfNoEntry: false });
    if (found?.size !== bytes)
      return broken(`${join(manifest.dir, file)} ${found ? 'is not as it was set up' : 'is missing'}`);
  }
  return manifest;
}

/**
 * TensorFlow as `dpmesh setup tensorflow` left it, or as DPMESH_TFJS points at it; null if neither. A few stats; what is
 * found may still fail to load.
 */
export function findTensorflow(): Found | { problem: string } | null {
  const own = process.env.DPMESH_TFJS;
  if (own) return foreign(own);
  const found = readManifest('tensorflow');
  if (!found || 'problem' in found) return found;
  const { dir, version, cuda } = found;
  return { dir, version, library: version, cuda, binding: join(dir, BINDING), quiet: join(dir, QUIET) };
}

/** A tfjs-node or tfjs-node-gpu that works already: its folder, its node_modules or the folder that has these. */
function foreign(path: string): Found | { problem: string } {
  const names = ['tfjs-node-gpu', 'tfjs-node'];
  const places = [
    path,
    ...['@tensorflow', 'node_modules/@tensorflow'].flatMap((at) => names.map((n) => join(path, at, n))),
  ];
  for (const place of places) {
    const dir = resolve(place);
    const description = join(dir, 'package.json');
    if (!existsSync(description)) continue;
    const { name, version } = described(description);
    if (!names.some((known) => name === `@tensorflow/${known}`)) continue;
    const folder = join(dir, 'lib');
    const binding = ['napi-v8', 'napi-v9', 'napi-v10']
      .map((napi) => join(folder, napi, 'tfjs_binding.node'))
      .find((file) => existsSync(file));
    if (!binding)
      return {
        problem: `DPMESH_TFJS=${path}: ${name} ${version} there has no binding in lib/; build it, or unset DPMESH_TFJS`,
      };
    return { dir, version: `tfjs-node ${version}`, cuda: name!.endsWith('-gpu'), binding };
  }
  return { problem: `DPMESH_TFJS=${path} has no @tensorflow/tfjs-node or tfjs-node-gpu` };
}

/** What a package says of itself; nothing, where that cannot be read. */
function described(path: string): { name?: string; version?: string } {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) ?? {};
  } catch {
    return {};
  }
}

export interface FoundWebgpu {
  dir: string;
  version: string;
  /** Loads the packages that lie there. */
  require: NodeJS.Require;
}

/** The webgpu package as `dpmesh setup webgpu` left it; null if it did not. */
export function findWebgpu(): FoundWebgpu | { problem: string } | null {
  const found = readManifest('webgpu');
  if (!found || 'problem' in found) return found;
  const { dir, version } = found;
  return { dir, version, require: createRequire(join(dir, 'package.json')) };
}
