// Rules of tasks for tests of how units are dispatched: tasks read the named states, and return named float64 arrays.
import type { DispatcherOptions } from '../../../coordinator/scheduler/dispatcher.ts';

/** `lengths`: of the arrays that each task returns; null: any result counts. */
export function rulesOf(
  states: string[],
  lengths: Record<string, number> | null = null,
): DispatcherOptions['rules'] {
  const names = Object.keys(lengths ?? {});
  return {
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
