// Loaded before a program (node --import): kills it with SIGKILL at its nth operation that changes names of files, DPMESH_KILL_AT.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let left = Number(process.env.DPMESH_KILL_AT);
// Not the processes that it starts.
delete process.env.DPMESH_KILL_AT;
for (const name of ['renameSync', 'unlinkSync', 'rmdirSync', 'mkdirSync', 'rename', 'unlink']) {
  const own = fs[name];
  fs[name] = (...args) => {
    if (--left === 0) process.kill(process.pid, 'SIGKILL');
    return own(...args);
  };
}
syncBuiltinESMExports();
