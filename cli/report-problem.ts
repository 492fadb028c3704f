import { fileProblem } from '../base/files.ts';
import { indentContinuation } from '../base/text.ts';

/** Prints why a command ends, and sets its exit code. False for an error that is a fault of ours. */
export function reportProblem(error: unknown): boolean {
  const problem = fileProblem(error);
  if (!problem) return false;
  console.error(indentContinuation(`dpmesh: ${problem.message}`));
  process.exitCode = problem.exitCode;
  return true;
}
