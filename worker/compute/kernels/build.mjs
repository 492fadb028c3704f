// Part of `npm run build`: compiles the AssemblyScript in assembly/ to one WebAssembly module.
import asc from 'assemblyscript/asc';

const FLAGS =
  '-O3 --noAssert --runtime stub --enable simd --importMemory --noExportMemory --use abort='.split(' ');

const files = ['worker/compute/kernels/assembly/index.ts', '-o', 'dist/worker/compute/kernels/kernel.wasm'];
const { error, stderr } = await asc.main([...files, ...FLAGS]);
if (error) throw new Error(`${stderr}${error.message}`);
