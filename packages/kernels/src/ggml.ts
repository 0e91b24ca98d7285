// The module of ggml's block types on a small memory of its own, made on first use, as codec.ts has it for the codecs. It is
// apart from theirs, so that a page that only decodes NF4 does not carry it.
import { ggmlSimd } from './generated/ggml-simd';
import { compile, instantiate } from './instantiate';

/** f32 values that fit the window. A multiple of every block. */
export const GGML_WINDOW = 16384;

/** Where things lie in the memory. */
export const GGML_AT = {
  // Below are the module's own constants and scratch.
  /** Blocks. 32 KiB. */
  blocks: 32768,
  /** f32 values: 64 KiB. */
  values: 65536,
  /** Importance of the values: 64 KiB, and room behind for what is read of three blocks more. */
  importance: 131072,
} as const;

const PAGES = 4;

/** Encodes `blocks` blocks; `importance` is 0 for none. */
export type GgmlEncode = (values: number, importance: number, bytes: number, blocks: number) => void;
/** Decodes `blocks` blocks. */
export type GgmlDecode = (bytes: number, values: number, blocks: number) => void;

/** Functions of assembly/ggml, which says what they do. Addresses are in bytes. */
export interface GgmlExports {
  readonly encodeQ40: (values: number, bytes: number, blocks: number) => void;
  readonly encodeWeightedQ40: (
    values: number,
    importance: number,
    bytes: number,
    blocks: number,
    variance: number,
  ) => void;
  readonly decodeQ40: GgmlDecode;
  readonly encodeQ4K: GgmlEncode;
  readonly decodeQ4K: GgmlDecode;
  readonly encodeQ5K: GgmlEncode;
  readonly decodeQ5K: GgmlDecode;
  readonly encodeQ6K: GgmlEncode;
  readonly decodeQ6K: GgmlDecode;
  readonly encodeIq4Nl: GgmlEncode;
  readonly decodeIq4Nl: GgmlDecode;
  readonly encodeIq4Xs: GgmlEncode;
  readonly decodeIq4Xs: GgmlDecode;
}

/** The running module and views of its memory, which never grows. */
export interface Ggml extends GgmlExports {
  readonly bytes: Uint8Array;
  readonly floats: Float32Array;
}

let known: Ggml | false | undefined;

/** The module, or false where it cannot run: no WebAssembly, no SIMD, or a page that forbids compiling it. */
export function ggml(): Ggml | false {
  known ??= start();
  return known;
}

function start(): Ggml | false {
  try {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    const exports = instantiate(compile(ggmlSimd, false), memory) as unknown as GgmlExports;
    return { ...exports, bytes: new Uint8Array(memory.buffer), floats: new Float32Array(memory.buffer) };
  } catch {
    return false;
  }
}
