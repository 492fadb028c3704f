export { logDensity } from './density';
export { nearest, packQueries } from './neighbours';
export { leaves, project, scatter, screen, sums } from './rows';
export { countAtLeast, softScatter } from './soft-statistics';
export { step } from './steps';

/** The first address of free memory: the kernel's constants are below. */
export function start(): usize {
  return __heap_base;
}
