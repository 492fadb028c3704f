import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate, openRun, predict, resume, synth, train } from '../../index.ts';
import { assertOptions, type OptionKinds } from '../../library/inputs.ts';

interface Options {
  out?: string;
  force?: boolean;
  http?: boolean | string;
  signal?: AbortSignal;
}
const KINDS: OptionKinds<Options> = {
  out: 'string',
  force: 'boolean',
  http: ['boolean', 'string'],
  signal: 'signal',
};
const check = (options: object) => assertOptions('train', options as Options, KINDS);

test('values of the right types pass, and undefined stands for what is left out', () => {
  check({ out: 'x', force: false, http: '127.0.0.1:0', signal: AbortSignal.abort() });
  check({ out: undefined, http: true });
});

for (const [name, options, message] of [
  ['text for a boolean', { force: 'no' }, 'train: force must be true or false'],
  ['two types allowed', { http: 80 }, 'train: http must be true or false or a string'],
  ['null', { out: null }, 'train: out must be a string'],
  ['a controller for its signal', { signal: new AbortController() }, 'train: signal must be an AbortSignal'],
  ['a misspelt name', { forse: true }, 'train has no option forse; did you mean force?'],
  ['a name like no other', { nJobs: 2 }, 'train has no option nJobs'],
  ['text for the options', 'x.npy', 'train expects an object of options'],
] as const)
  test(`${name}: a UserError`, () => {
    assert.throws(() => check(options as object), { name: 'UserError', message });
  });

test('every public function names what it lacks', async () => {
  for (const [call, message] of [
    [() => train({} as never), 'train needs the option data'],
    [() => train(null as never), 'train expects an object of options'],
    [() => resume({} as never), 'resume needs the option run'],
    [() => predict({ run: 'x' } as never), 'predict needs the option data'],
    [() => evaluate({} as never), 'evaluate needs the option pred'],
    [() => synth(null as never), 'synth expects an object of options'],
    [() => openRun(undefined as never), 'openRun needs the path of a run directory'],
    [
      () => synth({ points: 2 ** 39 }),
      `synth: ${2 ** 39} × 2 numbers do not fit in memory; set out and labels`,
    ],
  ] as const)
    await assert.rejects(async () => call(), { name: 'UserError', message });
});
