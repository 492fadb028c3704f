// A command line that stays: runs the commands on its standard input, a line of JSON each, in this process, and prints what each
// printed. For the tests of Python, which fit a hundred times: the first fit of a process costs as much as the next four.
import { createInterface } from 'node:readline';
import { dpmesh } from '../e2e/support.ts';

for await (const line of createInterface({ input: process.stdin })) {
  const { args, cwd } = JSON.parse(line);
  const { code, stdout, stderr } = await dpmesh(args, { cwd });
  process.stdout.write(`${JSON.stringify({ code, stdout, stderr })}\n`);
}
