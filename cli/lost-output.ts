import { ioError } from '../base/files.ts';

/**
 * Keeps a command running if its output cannot be written, as to a closed terminal or pipe: text on stderr is lost. If stdout
 * is a file that cannot be written, prints an error and sets exit code 2.
 */
export function tolerateLostOutput(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has closed the pipe, as `head` does.
    if (error.code === 'EPIPE') return;
    process.exitCode = 2;
    console.error(`dpmesh: ${(ioError('the output on stdout', 'written', error) as Error).message}`);
  });
}
