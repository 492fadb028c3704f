/**
 * What setups fetch: the versions that the tests ran with. Other ones have other bits (the numeric identity), or do not compile
 * together; so they change here, by somebody who has tried them.
 */
export const TENSORFLOW = '2.21.0';
export const TFJS_NODE = '@tensorflow/tfjs-node-gpu@4.22.0';
export const NODE_API = 'node-api-headers@1.9.0';
export const WEBGPU = [
  'webgpu@0.6.2',
  '@tensorflow/tfjs-backend-webgpu@4.22.0',
  '@tensorflow/tfjs-core@4.22.0',
];

/** No program of a package runs: neither its scripts nor, as wheels are taken only, what would build it. */
export const PIP = ['--only-binary', ':all:'];
export const NPM = [
  'install',
  '--save-exact',
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--no-package-lock',
];
