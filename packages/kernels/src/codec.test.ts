// The codec module: when it is compiled, what memory it takes, and what it refuses. That it computes the bytes of plain
// TypeScript is tested where that is: in @qlora/nf4, @qlora/double-quant, @qlora/ggml-blocks and @qlora/tensor.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AT, codec, inParts, WINDOW } from './codec';
import { absmaxBlocks, decodeBlocks } from './codec-blocks';
import { codebookTables } from './codec-codebook';
import { allFinite } from './codec-finite';
import { widenHalf } from './codec-half';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

describe('the module', () => {
  it('is compiled when it is first used, once, and not when it is imported', async () => {
    const compiled = vi.fn();
    class Module extends WebAssembly.Module {
      constructor(bytes: BufferSource) {
        super(bytes);
        compiled();
      }
    }
    vi.stubGlobal('WebAssembly', {
      ...WebAssembly,
      Memory: WebAssembly.Memory,
      Instance: WebAssembly.Instance,
      Module,
    });
    vi.resetModules();
    const kernels = await import('./index');
    expect(compiled).not.toHaveBeenCalled();
    kernels.allFinite('f32', new Float32Array(100));
    kernels.widenHalf('f16', new Uint16Array(100), new Float32Array(100));
    expect(compiled).toHaveBeenCalledTimes(1);
  });

  it('has 192 KiB of memory, and keeps them whatever goes through it', () => {
    const before = codec() as Exclude<ReturnType<typeof codec>, false>;
    expect(before.bytes.length).toBe(3 * 65536);
    const count = 40 * WINDOW + 5;
    expect(widenHalf('bf16', new Uint16Array(count), new Float32Array(count))).toBe(true);
    expect(codec()).toBe(before);
    expect(before.bytes.length).toBe(3 * 65536);
  });

  it('is not tried again where it cannot run', async () => {
    const tried = vi.fn();
    class Memory {
      constructor() {
        tried();
        throw new RangeError('no memory');
      }
    }
    vi.stubGlobal('WebAssembly', { Memory });
    vi.resetModules();
    const kernels = await import('./index');
    expect(kernels.allFinite('f32', new Float32Array(8))).toBeUndefined();
    expect(kernels.absmaxBlocks(new Float32Array(64), 64, new Float32Array(1))).toBe(false);
    expect(tried).toHaveBeenCalledTimes(1);
  });

  it('has windows and tables that do not overlap', () => {
    const sizes: Record<keyof typeof AT, number> = {
      table: 208 + 15 * 16, // or 1024 bytes of a map
      scales: WINDOW / 8, // blocks of 32
      peaks: WINDOW / 4, // blocks of 16
      levels: 512,
      narrow: WINDOW * 2,
      wide: WINDOW * 4,
      bins: 65536,
    };
    const places = (Object.keys(AT) as (keyof typeof AT)[]).map(
      (name) => [AT[name], AT[name] + sizes[name]] as const,
    );
    places.sort(([a], [b]) => a - b);
    for (let i = 1; i < places.length; i++) expect(places[i]![0]).toBeGreaterThanOrEqual(places[i - 1]![1]);
    expect(AT.table + 1024).toBeLessThanOrEqual(AT.scales);
    expect(places.at(-1)![1]).toBe(3 * 65536);
  });
});

describe('what cannot be done is left alone', () => {
  it('blocks that are no multiple of 32, or larger than the window', () => {
    for (const size of [0, -32, 16, 33, 48, 64.5, WINDOW + 32, Number.NaN]) {
      const scales = new Float32Array(4).fill(7);
      expect(absmaxBlocks(new Float32Array(2 * WINDOW), size, scales)).toBe(false);
      expect([...scales]).toEqual([7, 7, 7, 7]);
    }
  });
  it('a codebook that has not sixteen values', () => {
    const [codes, scales, values] = [new Uint8Array(32), new Float32Array(1), new Float32Array(64)];
    expect(decodeBlocks('f32', codes, scales, 64, new Float32Array(8), values)).toBe(false);
  });
  it('bounds that are not finite, or do not ascend', () => {
    const order = Uint8Array.from({ length: 16 }, (_, i) => i);
    const bounds = Float32Array.from({ length: 15 }, (_, i) => i / 7 - 1);
    expect(codebookTables(order, bounds)).toBeDefined();
    expect(codebookTables(order, bounds.slice().reverse())).toBeUndefined();
    expect(codebookTables(order, bounds.slice().fill(Number.NaN, 3, 4))).toBeUndefined();
    expect(codebookTables(order, bounds.slice(1))).toBeUndefined();
  });
  it('arrays that share their memory', () => {
    const buffer = new ArrayBuffer(400);
    expect(widenHalf('f16', new Uint16Array(buffer, 0, 50), new Float32Array(buffer, 200, 50))).toBe(false);
  });
});

it('no values are finite, and parts of nothing are none', () => {
  expect(allFinite('f16', new Uint16Array(0))).toBe(true);
  const body = vi.fn();
  inParts(0, 10, body);
  expect(body).not.toHaveBeenCalled();
  inParts(25, 10, body);
  expect(body.mock.calls).toEqual([
    [0, 10],
    [10, 10],
    [20, 5],
  ]);
});
