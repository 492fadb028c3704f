// Loaded before a program (node --import): kills it with SIGKILL at its nth operation that changes names of files, DPMESH_KILL_AT; or if that
// is no number, at the first one that gives a file or folder a name that ends so.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve } from 'node:path';

const at = process.env.DPMESH_KILL_AT;
let left = Number(at);
// Not the processes that it starts.
delete process.env.DPMESH_KILL_AT;
const isNow = (names) => (left > 0 ? --left === 0 : resolve(String(names.at(-1))).endsWith(at));
for (const [of, name, paths] of [
  ...['renameSync', 'rename'].map((name) => [fs, name, 2]),
  [fs.promises, 'rename', 2],
  ...['unlinkSync', 'rmdirSync', 'mkdirSync', 'unlink'].map((name) => [fs, name, 1]),
]) {
  const own = of[name];
  of[name] = (...args) => {
    if (at && isNow(args.slice(0, paths))) process.kill(process.pid, 'SIGKILL');
    return own(...args);
  };
}
syncBuiltinESMExports();
