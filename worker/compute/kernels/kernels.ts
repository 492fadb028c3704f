import { type DensityKernel, densityKernel } from './density-kernel.ts';
import { type StepKernel, stepKernel } from './step-kernel.ts';

/** What a backend on the processor has beside products. */
export interface Kernels {
  steps: StepKernel;
  logDensity: DensityKernel;
}

export const kernels = (): Kernels => ({ steps: stepKernel(), logDensity: densityKernel() });
