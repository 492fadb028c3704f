/**
 * The versions that setups download: those that the tests ran with. Others give other bits (another numeric identity) or may
 * not compile together, so test before you change them.
 */
export const TENSORFLOW = '2.21.0';
export const TFJS_NODE = '@tensorflow/tfjs-node-gpu@4.22.0';
export const NODE_API = 'node-api-headers@1.9.0';
export const WEBGPU = [
  'webgpu@0.6.2',
  '@tensorflow/tfjs-backend-webgpu@4.22.0',
  '@tensorflow/tfjs-core@4.22.0',
];

/** No code of a package runs during the setup: no install scripts, and wheels only, so no build either. */
export const PIP = ['--only-binary', ':all:'];
export const NPM = [
  'install',
  '--save-exact',
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--no-package-lock',
];
