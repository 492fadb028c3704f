import { ioError } from '../base/files.ts';

/**
 * What becomes of a command whose output cannot be written. A terminal or pipe that is gone must not end a run: words on
 * stderr are lost then. Where stdout goes to a disk that is full, that is said, with exit code 2.
 */
export function bearLostOutput(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads has had enough.
    if (error.code === 'EPIPE') return;
    process.exitCode = 2;
    console.error(`dpmesh: ${(ioError('the output on stdout', 'written', error) as Error).message}`);
  });
}
