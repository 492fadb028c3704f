import { execFile } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { UserError } from '../../../base/user-error.ts';
import { childArguments } from '../../../base/version.ts';
import { loadBackend } from './load.ts';

const TIMEOUT_MS = 120_000;

/** UserError unless this backend finds a GPU, as `flag` requires. Loads it in a child process. */
export async function proveGpu(backend: string, gpu: number, flag: string): Promise<void> {
  const entry = fileURLToPath(import.meta.url);
  const args = [...childArguments(), entry, backend, String(gpu), flag];
  try {
    await promisify(execFile)(process.execPath, args, { timeout: TIMEOUT_MS });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new UserError(stderr?.trim().split('\n').at(-1) || message);
  }
}

/** UserError if the loaded backend does not compute on a GPU. */
export function assertGpu(
  { identity, device }: { identity: string; device?: unknown },
  flag = '--require-gpu',
): void {
  if (!device)
    throw new UserError(
      `${flag}: ${identity} computes on the CPU; dpmesh doctor explains why it sees no GPU`,
    );
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [backend, gpu, flag] = process.argv.slice(2);
  loadBackend(backend, { gpu: Number(gpu), now: true })
    .then((loaded) => assertGpu(loaded, flag))
    .then(
      () => process.exit(0),
      (error: Error) => {
        console.error(error instanceof UserError ? error.message : error.stack);
        process.exit(1);
      },
    );
}
