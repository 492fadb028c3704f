#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

// Other modules fail without a current folder.
try {
  process.cwd();
} catch {
  console.error('dpmesh: the current folder no longer exists; change to another one');
  process.exit(2);
}
// The process is short-lived, so only its hottest loops are worth optimizing (worker/host/supervisor.ts).
if (Number.parseInt(process.versions.node, 10) < 22) setFlagsFromString('--interrupt-budget=1000000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=60');

const { INTERRUPTED } = await import('../base/user-error.ts');
const { endWithStdin, tolerateLostOutput } = await import('./process.ts');
const { main } = await import('./program.ts');
endWithStdin();
tolerateLostOutput();
await main(process.argv.slice(2));
// When Node ends by itself, it removes its signal handlers some milliseconds before the process exits. The second Ctrl-C, which
// npx forwards, would then kill the process and change its exit code.
if (process.exitCode === INTERRUPTED) process.exit();
