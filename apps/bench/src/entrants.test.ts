import { describe, expect, it } from 'vitest';
import { casesOf } from './cases';
import { contendersFor } from './entrants';
import { PEER_NAMES } from './peers';

const all = new Set(PEER_NAMES);
const workOf = (id: string) => {
  const found = casesOf('marks').find((one) => one.id === id);
  if (!found) throw new Error(`no case ${id}`);
  return found.work;
};
const ids = (id: string, present = all) => contendersFor(workOf(id), [1, 2], present).map((one) => one.id);

describe('who enters', () => {
  it('for a codec: everyone on one thread, and a copy', () => {
    expect(ids('quantize/4096x4096')).toEqual(['qlora@1', 'copy@1', 'bitsandbytes@1', 'qlora-rs@1']);
  });
  it('for a product: whoever has threads once for each number of them', () => {
    const names = ids('matmul-forward/4096x4096/rows-16');
    expect(names.filter((name) => /^(qlora|onnxruntime|bitsandbytes-fused)@/.test(name))).toHaveLength(6);
    expect(names.filter((name) => /^(tfjs-wasm|jax-js)@/.test(name))).toEqual(['tfjs-wasm@1', 'jax-js@1']);
  });
  it('backward: nobody who has no backward', () => {
    expect(ids('matmul-backward/4096x4096/rows-16').join()).not.toMatch(/fused|onnx/);
  });
  it('without peers: ours', () => {
    expect(ids('layer/4096x4096/rows-512/rank-16', new Set(['qlora', 'copy']))).toEqual([
      'qlora@1',
      'qlora@2',
    ]);
  });
});

it('names of cases and of contenders are unique', () => {
  for (const suite of ['quick', 'marks'] as const) {
    const cases = casesOf(suite);
    expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length);
    for (const { work } of cases) {
      const names = contendersFor(work, [1, 2], all).map(({ id }) => id);
      expect(new Set(names).size).toBe(names.length);
    }
  }
});
