// The container and the export of Llamas. That llama.cpp loads the files and computes the same is shown by
// apps/cli/src/llama-cpp.test.ts; here are the pieces, and what hostile files meet.
import { blockTypeOf } from '@qlora/ggml-blocks';
import { bytesSource, memorySink, memorySource, QloraError, tensor } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  exportGguf,
  type GgufValue,
  ggufName,
  ggufSink,
  permuteRows,
  readGguf,
  ropeFactors,
  tokenizerMetadata,
} from './index';

const f32 = (...values: number[]) => tensor('f32', [values.length], Float32Array.from(values));
const metadata = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['a.number', { type: 'u32', value: 7 }],
  ['a.large', { type: 'u64', value: 2n ** 60n }],
  ['a.negative', { type: 'i32', value: -5 }],
  ['a.flag', { type: 'bool', value: true }],
  ['a.real', { type: 'f64', value: 0.1 }],
  ['a.list', { type: 'array', items: 'string', value: ['x', 'ä'] }],
  ['a.bytes', { type: 'array', items: 'i8', value: [-1, 2] }],
]);

async function file() {
  const bytes = memorySink('test.gguf');
  const sink = await ggufSink(bytes, metadata, [
    { name: 'norm', shape: [3], type: blockTypeOf('f32') },
    { name: 'w', shape: [2, 32], type: blockTypeOf('q8_0') },
  ]);
  await sink.write(
    'w',
    tensor(
      'f32',
      [2, 32],
      Float32Array.from({ length: 64 }, (_, i) => i - 30),
    ),
  );
  await sink.write('norm', f32(1, 2, 3));
  await sink.finish();
  return bytes.bytes();
}

describe('the container', () => {
  it('gives metadata and tensors back, aligned to 32 bytes', async () => {
    const gguf = await readGguf(bytesSource(await file()));
    expect(gguf.version).toBe(3);
    expect([...gguf.metadata]).toEqual([...metadata]);
    expect(gguf.tensors.map(({ name, shape, offset }) => [name, shape, offset % 32])).toEqual([
      ['norm', [3], 0],
      ['w', [2, 32], 0],
    ]);
    expect([...(await gguf.read('norm')).data]).toEqual([1, 2, 3]);
    expect((await gguf.read('w')).data[63]).toBeCloseTo(33, 0);
  });

  it('refuses what ggml cannot hold', async () => {
    const type = blockTypeOf('q8_0');
    const open = (name: string, shape: number[]) =>
      ggufSink(memorySink(), new Map(), [{ name, shape, type }]);
    await expect(open('x'.repeat(64), [32])).rejects.toThrow(/more than 63 bytes/);
    await expect(open('x', [1, 1, 1, 1, 32])).rejects.toThrow(/5 axes/);
    await expect(open('x', [32, 33])).rejects.toThrow(/no whole blocks of 32/);
  });

  it('refuses to finish before every tensor came', async () => {
    const sink = await ggufSink(memorySink(), new Map(), [
      { name: 'x', shape: [1], type: blockTypeOf('f32') },
    ]);
    await expect(sink.finish()).rejects.toThrow(/1 announced tensors were not written: x/);
    await expect(sink.write('y', f32(1))).rejects.toThrow(/was not announced/);
  });
});

/** A copy of a valid file with some bytes changed. */
const patched = async (change: (view: DataView, bytes: Uint8Array) => void) => {
  const bytes = await file();
  change(new DataView(bytes.buffer), bytes);
  return bytes;
};
/** Where a text begins in a file. */
const find = (bytes: Uint8Array, text: string) => Buffer.from(bytes.buffer).indexOf(text);

const hostile: [rule: string, bytes: () => Promise<Uint8Array>][] = [
  ['magic', () => patched((view) => view.setUint32(0, 1))],
  ['version', () => patched((view) => view.setUint32(4, 4, true))],
  ['version', () => patched((view) => view.setUint32(4, 3, false))],
  ['count', () => patched((view) => view.setBigUint64(8, 2n ** 40n, true))],
  ['overflow', () => patched((view) => view.setBigUint64(8, 2n ** 63n, true))],
  ['count', () => patched((view) => view.setBigUint64(16, 2n ** 40n, true))],
  ['string-length', () => patched((view) => view.setBigUint64(24, 2n ** 40n, true))],
  ['value-type', () => patched((view, bytes) => view.setUint32(find(bytes, 'a.number') + 8, 13, true))],
  ['nested-array', () => patched((view, bytes) => view.setUint32(find(bytes, 'a.list') + 10, 9, true))],
  ['count', () => patched((view, bytes) => view.setBigUint64(find(bytes, 'a.list') + 14, 2n ** 40n, true))],
  ['bool', () => patched((view, bytes) => view.setUint8(find(bytes, 'a.flag') + 10, 2))],
  [
    'duplicate-key',
    () => patched((_, bytes) => bytes.set(new TextEncoder().encode('a.bytes'), find(bytes, 'a.large'))),
  ],
  ['axes', () => patched((view, bytes) => view.setUint32(find(bytes, 'norm') + 4, 5, true))],
  ['unaligned', () => patched((view, bytes) => view.setBigUint64(find(bytes, 'norm') + 20, 8n, true))],
  [
    'tensor-outside',
    () => patched((view, bytes) => view.setBigUint64(find(bytes, 'norm') + 20, 3200n, true)),
  ],
  ['row-length', () => patched((view, bytes) => view.setUint32(find(bytes, 'norm') + 16, 8, true))],
  ['truncated', async () => (await file()).subarray(0, 260)],
  ['truncated', async () => new Uint8Array(3)],
];

describe('a file that breaks a rule is refused by its name', () => {
  it.each(hostile)('%s', async (rule, bytes) => {
    const error = await readGguf(bytesSource(await bytes(), 'bad.gguf')).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(QloraError);
    expect((error as QloraError).rule).toBe(`gguf/${rule}`);
    expect((error as QloraError).message).toContain('bad.gguf');
  });

  it('and nothing else comes out, whatever the bytes', async () => {
    const valid = await file();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 5 }),
        async (changes) => {
          const copy = valid.slice();
          for (const [at, byte] of changes) copy[at] = byte;
          const error = await readGguf(bytesSource(copy)).catch((caught: unknown) => caught);
          if (error instanceof Error) expect(error).toBeInstanceOf(QloraError);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('a Llama', () => {
  it("has llama.cpp's names", () => {
    expect(ggufName('model.layers.12.self_attn.q_proj.weight', false)).toBe('blk.12.attn_q.weight');
    expect(ggufName('model.layers.0.mlp.down_proj.bias', false)).toBe('blk.0.ffn_down.bias');
    expect(ggufName('model.embed_tokens.weight', true)).toBe('token_embd.weight');
    expect(ggufName('lm_head.weight', false)).toBe('output.weight');
    expect(ggufName('lm_head.weight', true)).toBeUndefined();
    expect(ggufName('model.layers.0.self_attn.rotary_emb.inv_freq', false)).toBeUndefined();
    expect(() => ggufName('model.layers.0.moe.gate.weight', false)).toThrow(/is no part of a Llama/);
  });

  it('has the halves of each head interleaved in q and k', () => {
    const rows = tensor('f32', [8, 1], Float32Array.of(0, 1, 2, 3, 10, 11, 12, 13));
    expect([...permuteRows(rows, 2).data]).toEqual([0, 2, 1, 3, 10, 12, 11, 13]);
  });

  it('of version 3.1 has factors of its rotary frequencies: 1 for short wavelengths, the whole factor for long ones', () => {
    const ropeScaling = {
      type: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalContext: 8192,
    } as const;
    const factors = ropeFactors({ headDim: 128, ropeTheta: 500000, ropeScaling } as never);
    expect(factors?.length).toBe(64);
    expect(factors?.[0]).toBe(1);
    expect(factors?.[63]).toBe(8);
    expect([...(factors ?? [])].every((x, i, all) => i === 0 || x >= (all[i - 1] ?? 0))).toBe(true);
  });

  it('with a tokenizer that is no SentencePiece-style BPE is refused, and nothing is left', async () => {
    const config = { vocabularySize: 4, ropeScaling: { type: 'default' }, tiedEmbeddings: true } as never;
    const bytes = memorySink();
    let aborted = false;
    const abort = async () => {
      aborted = true;
    };
    const watched = { ...bytes, abort };
    const model = {
      source: memorySource([]),
      config,
      tokenizer: { tokenizer: { model: { type: 'WordPiece' } }, config: {} },
      type: 'f32',
      name: 'x',
    } as const;
    await expect(exportGguf(model, watched)).rejects.toThrow(/tokenizer.json: the tokenizer is WordPiece/);
    expect(aborted).toBe(true);
  });
});

describe('a tokenizer', () => {
  const tokenizer = {
    added_tokens: [
      { id: 1, content: '<s>', special: true },
      { id: 6, content: '<tool>', special: false },
    ],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }] },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
    },
    model: {
      type: 'BPE',
      byte_fallback: true,
      unk_token: '<unk>',
      vocab: { '<unk>': 0, '<s>': 1, '<0x0A>': 2, a: 3, b: 4, ab: 5 },
      merges: [['a', 'b']],
    },
  };
  it('has types, scores in the order of its merges, and unused ids up to the embedding', () => {
    const meta = tokenizerMetadata({ tokenizer, config: { bos_token: '<s>', unk_token: '<unk>' } }, 8);
    expect(meta.get('tokenizer.ggml.token_type')?.value).toEqual([2, 3, 6, 1, 1, 1, 4, 5]);
    expect(meta.get('tokenizer.ggml.scores')?.value).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(meta.get('tokenizer.ggml.bos_token_id')?.value).toBe(1);
    expect(meta.get('tokenizer.ggml.add_bos_token')?.value).toBe(true);
    expect(meta.get('tokenizer.ggml.add_eos_token')?.value).toBe(false);
    expect(meta.get('tokenizer.ggml.add_space_prefix')?.value).toBe(true);
  });
  it('with more ids than the embedding has rows is refused', () => {
    expect(() => tokenizerMetadata({ tokenizer, config: {} }, 5)).toThrow(/"ab" has id 5, the model has 5/);
  });
});
