import { Worker } from 'node:worker_threads';

/** Starts the thread of long calculations: the source under tsx, else the bundle. */
export function startThread(): Worker {
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('../../../bundled/thread.js', import.meta.url), { execArgv: [] });
  // What loads TypeScript does so in the first thread only.
  const [tsx, entry] = ['tsx/esm/api', './thread.ts'].map((path) =>
    JSON.stringify(import.meta.resolve(path)),
  );
  const load = `import(${tsx}).then(({ register }) => { register(); return import(${entry}); })`;
  return new Worker(load, { eval: true, execArgv: [] });
}
