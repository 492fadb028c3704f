// For tests of how units are dispatched: rules of tasks that read the named states and return named float64 arrays, and workers.
import type { SchedulerOptions } from '../../../coordinator/rounds/scheduler.ts';
import { type FromWorker, PROTOCOL } from '../../../proto/messages.ts';
import { TASKS } from '../../../tasks/table.ts';

/** `lengths`: of the arrays that each task returns; null: any result counts. */
export function rulesOf(
  states: string[],
  lengths: Record<string, number> | null = null,
): SchedulerOptions['tasks'] {
  const names = Object.keys(lengths ?? {});
  return {
    names: TASKS.names,
    statesOf: () => states,
    resultCheck: () => (results) =>
      lengths === null ||
      results.every(
        (result) =>
          Object.keys(result).length === names.length &&
          names.every((name) => {
            const data = result[name]?.data;
            return data instanceof Float64Array && data.length === lengths[name] && data[0] >= 0;
          }),
      )
        ? null
        : 'another result',
  };
}

type Hello = Extract<FromWorker, { type: 'hello' }>;

/** What the worker of process `pid` says about itself. */
export const helloOf = (pid: number, about: Partial<Hello> = {}): Hello => ({
  ...{ type: 'hello', protocol: PROTOCOL, identity: 'wasm/1', backend: 'wasm', host: 'h', pid, name: '' },
  session: pid.toString(16).padStart(32, '0'),
  ...about,
});
