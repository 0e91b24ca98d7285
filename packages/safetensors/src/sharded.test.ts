// Indexes of checkpoints in several files, honest ones and others.
import { bytesOf, bytesSource, memorySource, QloraError, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { joinShards, MAX_INDEX_BYTES, MAX_SHARDS, openSafetensors, parseIndex } from './index';
import { forgeEntries } from './testing/forge';
import { realIndex, realShards, realValues } from './testing/real-files';

const shard = (name: string) => memorySource([[name, tensor('f32', [1], Float32Array.of(name.length))]]);
const indexOf = (map: unknown) => parseIndex(JSON.stringify({ metadata: {}, weight_map: map }), 'index');

function ruleOf(body: () => unknown): string | undefined {
  try {
    body();
  } catch (error) {
    if (error instanceof QloraError) return error.rule;
    throw error;
  }
  return 'accepted';
}

const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('an index', () => {
  it('gives the file of each tensor', () => {
    const index = indexOf({ a: 'x-1.safetensors', bb: 'x-2.safetensors', __proto__: 'x-2.safetensors' });
    expect([...index]).toEqual([
      ['a', 'x-1.safetensors'],
      ['bb', 'x-2.safetensors'],
    ]);
    const proto = parseIndex('{"weight_map":{"__proto__":"x.safetensors"}}', 'index');
    expect(proto.get('__proto__')).toBe('x.safetensors');
  });

  it.each<[rule: string, what: string, text: string | Uint8Array]>([
    ['weight-map', 'nothing', ''],
    ['json', 'cut', '{"weight_map":{"a":"x.safetens'],
    ['json', 'more than an index', '{"weight_map":{"a":"x.safetensors"}} {}'],
    ['weight-map', 'a byte order mark', '\ufeff{"weight_map":{"a":"x.safetensors"}}'],
    ['json', 'no UTF-8', Uint8Array.from(Buffer.from('{"weight_map":{"\xff":"x.safetensors"}}', 'latin1'))],
    ['json', 'half a surrogate pair', '{"weight_map":{"\\ud800":"x.safetensors"}}'],
    ['json', 'nesting to the end of the stack', `{"metadata":${deep(200_000)}}`],
    ['json', 'nesting that the reference refuses', `{"metadata":${deep(129)}}`],
    ['json', 'a number that is none', '{"metadata":{"total_size":1.}}'],
    ['json', 'a word that JSON does not have', '{"metadata":{"total_size":NaN}}'],
    ['weight-map', 'a list', '[]'],
    ['weight-map', 'no weight_map', '{"metadata":{"total_size":12}}'],
    ['weight-map', 'an empty weight_map', '{"weight_map":{}}'],
    ['weight-map', 'a list for weight_map', '{"weight_map":["x.safetensors"]}'],
    ['weight-map', 'null for weight_map', '{"weight_map":null}'],
    ['weight-map', 'a number for a file', '{"weight_map":{"a":1}}'],
    ['weight-map', 'null for a file', '{"weight_map":{"a":null}}'],
    ['weight-map', 'a list of files', '{"weight_map":{"a":["x.safetensors"]}}'],
    ['duplicate-key', 'a tensor twice', '{"weight_map":{"a":"x.safetensors","\\u0061":"y.safetensors"}}'],
    [
      'duplicate-key',
      'two weight_maps',
      '{"weight_map":{"a":"x.safetensors"},"weight_map":{"a":"y.safetensors"}}',
    ],
    ['duplicate-key', 'metadata twice', '{"metadata":1,"metadata":2,"weight_map":{"a":"x.safetensors"}}'],
  ])('is refused by the rule %s: %s', (rule, _, text) => {
    expect(ruleOf(() => parseIndex(text, 'index'))).toBe(`safetensors/index-${rule}`);
  });

  it.each([
    '../secret.safetensors',
    '/etc/x.safetensors',
    'a/b.safetensors',
    '..\\x.safetensors',
    'C:x.safetensors',
    'x.safetensors:stream.safetensors',
    '.x.safetensors',
    '.safetensors',
    '..safetensors',
    'x\0.safetensors',
    'x\n.safetensors',
    'x\u202e.safetensors',
    'x.bin',
    'x.safetensors.index.json',
    'x.safetensors ',
    '~x.safetensors',
    '%2e%2e%2fx.safetensors',
    '',
    `${'x'.repeat(250)}.safetensors`,
  ])('must not reach outside of its folder: %j', (path) => {
    expect(ruleOf(() => indexOf({ a: path }))).toBe('safetensors/index-file-name');
  });

  it('may name files as people name them', () => {
    for (const name of [
      'model-00001-of-00002',
      'diffusion_pytorch_model.fp16',
      'Modell für Ä (1)',
      '模型',
      'a+b=c',
    ])
      expect(indexOf({ a: `${name}.safetensors` }).get('a')).toBe(`${name}.safetensors`);
  });

  it('has a limit to its size and to its files', () => {
    expect(ruleOf(() => parseIndex(new Uint8Array(MAX_INDEX_BYTES + 1), 'index'))).toBe(
      'safetensors/index-too-large',
    );
    const files = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, `${i}.safetensors`]));
    expect(indexOf(files(MAX_SHARDS)).size).toBe(MAX_SHARDS);
    expect(ruleOf(() => indexOf(files(MAX_SHARDS + 1)))).toBe('safetensors/index-too-many-shards');
  });
});

describe('files joined by an index', () => {
  const two = new Map([
    ['x-1.safetensors', shard('a')],
    ['x-2.safetensors', shard('bb')],
  ]);

  it('give each tensor from its file', async () => {
    const source = joinShards('model', two, indexOf({ a: 'x-1.safetensors', bb: 'x-2.safetensors' }));
    expect(source.tensors.map(({ name }) => name)).toEqual(['a', 'bb']);
    expect((await source.read('bb')).data[0]).toBe(2);
    expect((await source.readRange('bb', 0, 1)).data[0]).toBe(2);
    await expect(source.read('c')).rejects.toThrow(/no tensor named "c"/);
  });

  it('of huggingface_hub give what it wrote', async () => {
    const open = new Map<string, Awaited<ReturnType<typeof openSafetensors>>>();
    for (const [name, bytes] of realShards) open.set(name, await openSafetensors(bytesSource(bytes, name)));
    const source = joinShards('sharded', open, parseIndex(realIndex, 'index'));
    const values = Object.entries(realValues.sharded ?? {});
    expect(source.tensors).toHaveLength(values.length);
    for (const [name, expected] of values)
      expect(Buffer.from(bytesOf((await source.read(name)).data)).toString('hex')).toBe(expected);
    expect(source.metadata.get('format')).toBe('pt');
  });

  it('give tensors that the index does not name, as in transformers', () => {
    const source = joinShards('model', two, indexOf({ a: 'x-1.safetensors' }));
    expect(source.tensors.map(({ name }) => name)).toEqual(['a', 'bb']);
  });

  it('are refused if one lacks what the index promises, though another has it', () => {
    for (const map of [{ c: 'x-1.safetensors' }, { a: 'x-2.safetensors' }, { a: 'y.safetensors' }])
      expect(ruleOf(() => joinShards('model', two, indexOf(map)))).toBe('safetensors/index-missing-tensor');
    expect(() => joinShards('model', two, indexOf({ c: 'x-1.safetensors' }))).toThrow(
      /model: the index promises c in x-1.safetensors, which has no such tensor/,
    );
  });

  it('are refused if a tensor is in two of them, even if the index chooses one', () => {
    const twice = new Map([...two, ['x-3.safetensors', shard('a')]]);
    expect(ruleOf(() => joinShards('model', twice, indexOf({ a: 'x-1.safetensors' })))).toBe(
      'safetensors/index-tensor-twice',
    );
  });

  it('list what cannot be computed with, and refuse it with the reason', async () => {
    const file = forgeEntries([{ dtype: '"F8_E4M3"' }]);
    const shards = new Map([['x.safetensors', await openSafetensors(bytesSource(file, 'x.safetensors'))]]);
    const source = joinShards('model', shards, indexOf({ a: 'x.safetensors' }));
    expect([...source.unreadable]).toEqual([['a', 'F8_E4M3']]);
    await expect(source.read('a')).rejects.toThrow(/x\.safetensors: a: is F8_E4M3/);
  });
});
