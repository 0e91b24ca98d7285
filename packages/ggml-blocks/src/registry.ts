// The registry of block types. A new one is a file of its own and a line here.
import { QloraError } from '@qlora/tensor';
import type { BlockLayout, BlockType } from './contract';
import { bf16, f16, f32 } from './floats';
import { mxfp4, nvfp4 } from './fp4';
import { iq4_nl, iq4_xs } from './iq4';
import { q4_0, q4_1, q5_0, q5_1 } from './legacy';
import { q2_K } from './q2-k';
import { q3_K } from './q3-k';
import { q4_K } from './q4-k';
import { q5_K } from './q5-k';
import { q6_K } from './q6-k';
import { q8_0 } from './q8-0';

/** The block types that are encoded and decoded here, by name. */
export const blockTypes: ReadonlyMap<string, BlockType> = new Map(
  [
    ...[f32, f16, bf16],
    ...[q4_0, q4_1, q5_0, q5_1, q8_0],
    ...[q2_K, q3_K, q4_K, q5_K, q6_K],
    ...[iq4_nl, iq4_xs, mxfp4, nvfp4],
  ].map((type) => [type.name, type]),
);

/** The block type of that name. @throws QloraError listing the known ones. */
export function blockTypeOf(name: string): BlockType {
  const type = blockTypes.get(name);
  if (type) return type;
  throw new QloraError({
    what: `no ggml type named "${name}"`,
    fix: `known: ${[...blockTypes.keys()].join(', ')}`,
  });
}

/** The block type of a `ggml_type` id, or undefined for one that cannot be decoded here. */
export function blockTypeById(id: number): BlockType | undefined {
  return [...blockTypes.values()].find((type) => type.id === id);
}

/** Bytes that `count` values take. @throws QloraError if they are no whole blocks. */
export function blockByteLength(type: BlockLayout, count: number): number {
  if (count % type.blockSize !== 0) {
    throw new QloraError({
      what: `${count} values are no whole blocks of ${type.blockSize}`,
      where: type.name,
    });
  }
  return (count / type.blockSize) * type.blockBytes;
}
