// Options and config files that are wrong: refused before anything is read, with the option's name and what would be right.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { expectRefusal, qlora, spawnQlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-bad-options-'));
afterAll(() => rmSync(work, { recursive: true }));
const config = join(work, 'train.yaml');
const train = ['train', 'model', '--data', 'data.txt', '--out', join(work, 'out')];

describe('as a real process', () => {
  it('an unknown verb gets a suggestion', async () => {
    const { code, stdout, stderr } = await spawnQlora('quantise', 'model');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      "error: unknown command 'quantise'\n(Did you mean quantize?)\n(add --help for what can be said)\n",
    );
  });
  it('with --json what is wrong is an event, and standard error is empty', async () => {
    const { code, stdout, stderr } = await spawnQlora(...train, '--rank', 'many', '--json');
    expect([code, stderr]).toEqual([1, '']);
    expect(JSON.parse(stdout)).toMatchObject({
      event: 'error',
      what: "option '--rank <n>' argument 'many' is invalid. A whole number from 1 is needed.",
      fix: 'add --help for what can be said',
    });
  });
});

it('with --json and no verb, what is lacking is said', async () => {
  const { code, stdout } = await qlora('--json');
  expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ what: 'no verb is named' })]);
});

describe('the command line', () => {
  it.each([
    [
      ['train', 'model', '--data', 'd', '--out', 'o', '--rnak', '4'],
      /unknown option '--rnak'\n\(Did you mean --rank\?\)/,
    ],
    [['train', 'model', '--out', 'o'], /required option '--data <file>' not specified/],
    [['quantize', 'model'], /required option '--out <dir>' not specified/],
    [['quantize', '--out', 'o'], /missing required argument 'model'/],
    [['quantize', 'model', 'other', '--out', 'o'], /too many arguments/],
    [['export', 'ggfu', 'model'], /unknown command 'ggfu'\n\(Did you mean gguf\?\)/],
    [
      [...train, '--steps', '3', '--epochs', '1'],
      /option '--steps <n>' cannot be used with option '--epochs <x>'/,
    ],
    [['generate', 'model'], /required option '--prompt <text>' not specified/],
    [
      ['export', 'gguf', 'model', '--out', 'o', '--type', 'q4'],
      /argument 'q4' is invalid\. Allowed choices are f32, f16/,
    ],
    [
      ['merge', 'm', '--adapter', 'a', '--out', 'o', '--dtype', 'f8'],
      /argument 'f8' is invalid\. Allowed choices are f32, f16, bf16/,
    ],
    [
      ['quantize', 'm', '--out', 'o', '--scheme', 'int4'],
      /argument 'int4' is invalid\. Allowed choices are nf4, fp4/,
    ],
  ])('%j', async (args, message) => {
    await expectRefusal(work, args, message);
  });

  it.each([
    ['--rank', ['0', '-1', '1.5', 'NaN', '', 'Infinity'], /A whole number from 1 is needed/],
    ['--alpha', ['0', '-1', 'NaN', 'x'], /A number above 0 is needed/],
    ['--lora-dropout', ['1', '-0.1', 'NaN'], /A number from 0 to 0\.99 is needed/],
    ['--target-modules', ['', ' , '], /all-linear, or names like q_proj,v_proj are needed/],
    ['--steps', ['0', '-3', '2.5'], /A whole number from 1 is needed/],
    ['--epochs', ['0', '-1', 'NaN'], /A number above 0 is needed/],
    ['--batch-size', ['0'], /A whole number from 1 is needed/],
    ['--gradient-accumulation', ['0'], /A whole number from 1 is needed/],
    ['--sequence-length', ['1', '0'], /A whole number from 2 is needed/],
    ['--learning-rate', ['NaN', '0', '-1e-4', '1e999'], /A number above 0 is needed/],
    ['--schedule', ['step'], /Allowed choices are linear, cosine, constant/],
    ['--warmup', ['-1', 'NaN'], /A number from 0 is needed/],
    ['--max-grad-norm', ['-1'], /A number from 0 is needed/],
    ['--weight-decay', ['-0.1'], /A number from 0 is needed/],
    ['--seed', ['-1', '0.5', 'x'], /A whole number from 0 is needed/],
    ['--scheme', ['q4'], /Allowed choices are nf4, fp4/],
    ['--block-size', ['63', '16', '8192', '64.5', 'NaN'], /A power of two from 32 to 4096 is needed/],
  ])('%s refuses %j', async (option, values, message) => {
    for (const value of values) {
      const said = await expectRefusal(work, [...train, `${option}=${value}`], message);
      expect(said).toContain(`option '${option} `);
      expect(said).toContain(`argument '${value}'`);
    }
  });

  it.each([
    ['--temperature', '-1', /A number from 0 is needed/],
    ['--top-p', '0', /A number from 0\.000001 to 1 is needed/],
    ['--top-p', '1.5', /A number from 0\.000001 to 1 is needed/],
    ['--max-tokens', '0', /A whole number from 1 is needed/],
  ])('%s refuses %s', async (option, value, message) => {
    await expectRefusal(work, ['generate', 'model', '--prompt', 'a', `${option}=${value}`], message);
  });
});

describe('--config', () => {
  const refused = async (yaml: string, message: RegExp, args = train) => {
    writeFileSync(config, yaml);
    await expectRefusal(work, [...args, '--config', config], message);
  };
  it('that is not there, or is a folder', async () => {
    await expectRefusal(work, [...train, '--config', join(work, 'none.yaml')], /none\.yaml: no such file/);
    await expectRefusal(work, [...train, '--config', work], /: is a folder\. Name a file/);
  });
  it.each([
    ['rank: 4\nrnak: 8', /train\.yaml: there is no option "rnak"\. Known: .*rank/],
    ['__proto__: 1', /train\.yaml: there is no option "__proto__"/],
    ['constructor: 1', /train\.yaml: there is no option "constructor"/],
    ['config: other.yaml', /train\.yaml: there is no option "config"/],
    ['json: true', /train\.yaml: there is no option "json"/],
    ['no-double-quant: true', /train\.yaml: there is no option "no-double-quant"\. Known: .*doubleQuant/],
    ['rank: [', /train\.yaml: is no YAML: /],
    ['rank: 4\nrank: 8', /train\.yaml: is no YAML: .*unique/],
    ['- rank', /train\.yaml: is no list of keys and values\. Write lines like rank: 16/],
    ['', /train\.yaml: is no list of keys and values/],
    ['rank: many', /train\.yaml: rank: is "many"\. A whole number from 1 is needed/],
    ['rank: 0', /train\.yaml: rank: is 0\. A whole number from 1 is needed/],
    ['rank: true', /train\.yaml: rank: is true\. A number or a text is needed/],
    ['rank:', /train\.yaml: rank: is null\. A number or a text is needed/],
    ['rank: [4]', /train\.yaml: rank: is \[4\]\. A number or a text is needed/],
    ['learning-rate: .nan', /train\.yaml: learning-rate: is .*\. A number above 0 is needed/],
    ['learning_rate: -1', /train\.yaml: learning_rate: is -1\. A number above 0 is needed/],
    ['block-size: 63', /train\.yaml: block-size: is 63\. A power of two from 32 to 4096 is needed/],
    ['overwrite: "yes"', /train\.yaml: overwrite: is "yes"\. True or false is needed/],
    ['double-quant: 1', /train\.yaml: double-quant: is 1\. True or false is needed/],
    ['schedule: step', /train\.yaml: schedule: is "step"\. Linear, cosine, constant are known/],
    ['schedule: 3', /train\.yaml: schedule: is 3\. /],
    ['target-modules: []', /train\.yaml: target-modules: is \[\]\. /],
    ['target-modules: [q_proj, 3]', /train\.yaml: target-modules: is \["q_proj",3\]\. /],
    ['eval-data: {a: 1}', /train\.yaml: eval-data: is \{"a":1\}\. A text is needed/],
    ['steps: 3\nepochs: 2', /option '--steps <n>' cannot be used with option '--epochs <x>'/],
  ])('%j', async (yaml, message) => {
    await refused(yaml, message);
  });
  it('whose steps meet --epochs of the command line', async () => {
    await refused('steps: 3', /option '--steps <n>' cannot be used with option '--epochs <x>'/, [
      ...train,
      '--epochs',
      '2',
    ]);
  });
  it('that lacks what is required, as the command line does', async () => {
    await refused('rank: 4', /required option '--data <file>' not specified/, ['train', 'model']);
  });
});
