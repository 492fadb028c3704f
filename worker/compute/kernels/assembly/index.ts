export { logDensity } from './density';
export { leaves, scatter, screen, sums } from './rows';
export { step } from './steps';

/** Where memory is the caller's: the kernel's constants lie below. */
export function start(): usize {
  return __heap_base;
}
