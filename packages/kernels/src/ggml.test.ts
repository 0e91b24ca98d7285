// The module of ggml's block types: when it is compiled, and what memory it takes. That it computes the bytes of plain TypeScript
// is tested where that is: in @qlora/ggml-blocks.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { GGML_AT, GGML_WINDOW, ggml } from './ggml';
import { decodeGgmlBlocks, encodeGgmlBlocks, encodeGgmlRow } from './ggml-blocks';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

describe('the module', () => {
  it('is compiled when it is first used, once, and not by the codecs', async () => {
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
    kernels.allFinite('f32', new Float32Array(100));
    expect(compiled).toHaveBeenCalledTimes(1);
    kernels.encodeGgmlBlocks('q4_0', new Float32Array(64), new Uint8Array(36));
    kernels.decodeGgmlBlocks('q6_K', new Uint8Array(210), new Float32Array(256));
    expect(compiled).toHaveBeenCalledTimes(2);
  });

  it('has 256 KiB of memory, and keeps them whatever goes through it', () => {
    const before = ggml() as Exclude<ReturnType<typeof ggml>, false>;
    expect(before.bytes.length).toBe(4 * 65536);
    const row = new Float32Array(3 * GGML_WINDOW + 32 * 7).fill(1);
    const bytes = new Uint8Array((row.length / 32) * 18);
    expect(encodeGgmlRow('iq4_nl', row, row, bytes)).toBe(true);
    expect(encodeGgmlRow('q4_0', row, row, bytes)).toBe(true);
    expect(decodeGgmlBlocks('q4_0', bytes, row)).toBe(true);
    expect(ggml()).toBe(before);
    expect(before.bytes.length).toBe(4 * 65536);
  });

  it('has windows that do not overlap, and room behind the last', () => {
    const block = 210 * (GGML_WINDOW / 256);
    const threeMore = 3 * 32 * 4;
    expect(GGML_AT.blocks + block).toBeLessThanOrEqual(GGML_AT.values);
    expect(GGML_AT.values + 4 * GGML_WINDOW).toBeLessThanOrEqual(GGML_AT.importance);
    expect(GGML_AT.importance + 4 * GGML_WINDOW + threeMore).toBeLessThanOrEqual(4 * 65536);
  });

  it('keeps its constants and scratch below the windows, apart from each other', () => {
    // Constants begin at 1024, scratch (assembly/ggml/places.ts) at 8192: what lies between is never written.
    const { bytes } = ggml() as Exclude<ReturnType<typeof ggml>, false>;
    const before = bytes.slice(0, 8192);
    expect(before.subarray(4096).every((byte) => byte === 0)).toBe(true);
    const row = Float32Array.from({ length: 512 }, (_, i) => Math.sin(i));
    for (const kind of ['q4_0', 'q4_K', 'q5_K', 'q6_K', 'iq4_nl', 'iq4_xs'] as const) {
      const blocks = new Uint8Array(16 * 36);
      encodeGgmlBlocks(kind, row, blocks);
      encodeGgmlRow(kind, row, row.map(Math.abs), blocks);
    }
    expect(Buffer.compare(bytes.subarray(0, 8192), before)).toBe(0);
    expect(bytes.subarray(12784, GGML_AT.blocks).every((byte) => byte === 0)).toBe(true);
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
    expect(kernels.encodeGgmlBlocks('q4_0', new Float32Array(32), new Uint8Array(18))).toBe(false);
    expect(kernels.decodeGgmlBlocks('q4_0', new Uint8Array(18), new Float32Array(32))).toBe(false);
    expect(tried).toHaveBeenCalledTimes(1);
  });
});
