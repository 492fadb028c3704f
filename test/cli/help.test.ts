import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { kebabCase } from '../../base/text.ts';
import { commands } from '../../cli/program.ts';
import { options } from '../../run/options.ts';
import { called } from '../e2e/in-process.ts';
import { dpmesh, patience } from '../e2e/support.ts';

const COMMANDS = commands.map(({ command }) => command.split(' ')[0]);

/** The help text as one line. */
async function help(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await called([...args, '--help']);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  for (const line of stdout.split('\n')) assert.ok(line.length <= 110, line);
  return stdout.replace(/\s+/g, ' ');
}

test('--help lists all commands, within a second', async () => {
  const tries = [await dpmesh(['--help']), await dpmesh(['--help']), await dpmesh(['-h'])];
  for (const { stdout } of tries)
    for (const command of [...COMMANDS, 'completion'])
      assert.ok(stdout.includes(`dpmesh ${command} `), command);
  const best = Math.min(...tries.map(({ seconds }) => seconds));
  assert.ok(best < patience(1), `took ${best.toFixed(2)} s`);
});

for (const command of ['train', 'coordinator'])
  test(`${command} --help names every flag with its default`, async () => {
    const text = await help(command);
    for (const [option, { fast, defaultText }] of options) {
      const name = kebabCase(option);
      // Not where the help of another one names it.
      const at = text.search(new RegExp(`[\\]:] --${name}[ ,]`)) + 1;
      assert.ok(at > 0, `--${name} is missing`);
      const rest = text.slice(at + 3 + name.length);
      const shown = defaultText ?? fast;
      if (shown === undefined) continue;
      const expected = `[default: ${shown}]`;
      const own = rest.slice(0, rest.indexOf(expected) + expected.length);
      assert.ok(rest.includes(expected), `--${name} does not show ${expected}`);
      assert.equal(own.match(/\[default: /g)?.length, 1, `--${name} ${own}`);
    }
  });

for (const command of COMMANDS)
  test(`${command} --help describes the command and its flags`, async () => {
    const text = await help(command);
    assert.match(text, new RegExp(`^dpmesh ${command} `));
    assert.match(text, / --\S+ .*\[(string|number|boolean)\]/);
    assert.match(text, new RegExp(` Examples: dpmesh ${command} `));
  });

test('--help marks what is required, and begins with what every run needs', async () => {
  assert.match(await help('predict'), / --out [^[]*\[string\] \[required\]/);
  const text = await help('train');
  assert.match(text, / --data [^[]*; required, [^[]*\[string\]/);
  assert.match(text, / Data: .* Run: .* Model: .* Networks: .* Examples: /);
});

test('--version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const { code, stdout } = await dpmesh(['--version']);
  assert.deepEqual([code, stdout], [0, `${version}\n`]);
});
