// ggml's block types by the module of ggml.ts: arrays of any length go through its window part by part.
import { inParts, put } from './codec';
import { GGML_AT as AT, GGML_WINDOW, type Ggml, type GgmlDecode, type GgmlEncode, ggml } from './ggml';

/** Values and bytes of a block, and the kernels. */
interface Kind {
  readonly size: number;
  readonly bytes: number;
  readonly encode: (kernels: Ggml) => GgmlEncode;
  readonly decode: (kernels: Ggml) => GgmlDecode;
}

const KINDS = {
  q4_0: {
    ...{ size: 32, bytes: 18 },
    encode: (kernels) => (values, _, bytes, blocks) => kernels.encodeQ40(values, bytes, blocks),
    decode: (kernels) => kernels.decodeQ40,
  },
  q4_K: { size: 256, bytes: 144, encode: (k) => k.encodeQ4K, decode: (k) => k.decodeQ4K },
  q5_K: { size: 256, bytes: 176, encode: (k) => k.encodeQ5K, decode: (k) => k.decodeQ5K },
  q6_K: { size: 256, bytes: 210, encode: (k) => k.encodeQ6K, decode: (k) => k.decodeQ6K },
  iq4_nl: { size: 32, bytes: 18, encode: (k) => k.encodeIq4Nl, decode: (k) => k.decodeIq4Nl },
  iq4_xs: { size: 256, bytes: 136, encode: (k) => k.encodeIq4Xs, decode: (k) => k.decodeIq4Xs },
} as const satisfies Record<string, Kind>;

/** The types that {@link encodeGgmlBlocks} and {@link decodeGgmlBlocks} know, by ggml's names. */
export type GgmlKind = keyof typeof KINDS;

/** The blocks of finite `values`, whose length is a multiple of the type's block, into `bytes`. False if nothing was done. */
export function encodeGgmlBlocks(kind: GgmlKind, values: Float32Array, bytes: Uint8Array): boolean {
  const kernels = ggml();
  if (!kernels) return false;
  encode(kernels, KINDS[kind], values, bytes, KINDS[kind].encode(kernels));
  return true;
}

/**
 * The same of one row, whose columns matter by `importance`: finite, not negative, and as long as `row`. False if nothing was
 * done.
 */
export function encodeGgmlRow(
  kind: GgmlKind,
  row: Float32Array,
  importance: Float32Array,
  bytes: Uint8Array,
): boolean {
  const kernels = ggml();
  if (!kernels) return false;
  encode(kernels, KINDS[kind], row, bytes, weighted(kernels, kind, row), importance);
  return true;
}

/** The values of `bytes`, whole blocks, into `values`. False if nothing was done. */
export function decodeGgmlBlocks(kind: GgmlKind, bytes: Uint8Array, values: Float32Array): boolean {
  const kernels = ggml();
  if (!kernels) return false;
  const { size, bytes: blockBytes, decode } = KINDS[kind];
  const kernel = decode(kernels);
  inParts(bytes.length / blockBytes, GGML_WINDOW / size, (first, blocks) => {
    kernels.bytes.set(bytes.subarray(first * blockBytes, (first + blocks) * blockBytes), AT.blocks);
    kernel(AT.blocks, AT.values, blocks);
    put(values, first * size, kernels.floats.subarray(AT.values / 4, AT.values / 4 + blocks * size));
  });
  return true;
}

function encode(
  kernels: Ggml,
  { size, bytes: blockBytes }: Kind,
  values: Float32Array,
  bytes: Uint8Array,
  kernel: GgmlEncode,
  importance?: Float32Array,
): void {
  inParts(values.length / size, GGML_WINDOW / size, (first, blocks) => {
    const [start, end] = [first * size, (first + blocks) * size];
    kernels.floats.set(values.subarray(start, end), AT.values / 4);
    if (importance) kernels.floats.set(importance.subarray(start, end), AT.importance / 4);
    kernel(AT.values, importance ? AT.importance : 0, AT.blocks, blocks);
    put(bytes, first * blockBytes, kernels.bytes.subarray(AT.blocks, AT.blocks + blocks * blockBytes));
  });
}

/** The encoder with importance. That of q4_0 alone needs to know the whole row: its mean square, added up in order. */
function weighted(kernels: Ggml, kind: GgmlKind, row: Float32Array): GgmlEncode {
  if (kind !== 'q4_0') return KINDS[kind].encode(kernels);
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum = Math.fround(sum + Math.fround(row[i]! * row[i]!));
  const variance = Math.fround(sum / row.length);
  return (values, importance, bytes, blocks) =>
    kernels.encodeWeightedQ40(values, importance, bytes, blocks, variance);
}
