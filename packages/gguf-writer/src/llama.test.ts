// The pieces of a Llama's export. That llama.cpp loads the files and computes the same is shown by
// apps/cli/src/llama-cpp.test.ts.
import { memorySink, memorySource, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { exportGguf, ggufName, ropeFactors } from './index';
import { permuteRows } from './llama-tensors';

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
    await expect(exportGguf(model, watched)).rejects.toThrow(/tokenizer.json: model: is of type "WordPiece"/);
    expect(aborted).toBe(true);
  });
});
