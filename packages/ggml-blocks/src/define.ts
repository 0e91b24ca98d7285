// A block type made of its loops: sizes, values and results are checked here, once for all types.
import { QloraError } from '@qlora/tensor';
import { checkImportance, checkValues, invalidBlock, type ScalePlaces } from './check';
import type { BlockLayout, BlockType } from './contract';
import { checkWhole } from './whole';

/** The loops of a type, in plain TypeScript or in a kernel. Sizes fit when they are called. */
export interface BlockLoops {
  /** The blocks of `values`. */
  encode(values: Float32Array, bytes: Uint8Array): void;
  /** The blocks of one row, whose columns matter by `importance`. Missing in a type that takes none. */
  encodeRow?(row: Float32Array, importance: Float32Array, bytes: Uint8Array): void;
  /** The values of blocks. */
  decode(bytes: Uint8Array, values: Float32Array): void;
}

/** What else there is to say of a type. */
export interface BlockDefinition extends BlockLayout {
  readonly maxMagnitude: number;
  readonly scales: ScalePlaces;
}

/** The block type of these loops. */
export function defineBlockType(definition: BlockDefinition, loops: BlockLoops): BlockType {
  const { scales, ...layout } = definition;
  const { name, blockSize, blockBytes } = definition;
  return {
    ...layout,
    takesImportance: loops.encodeRow !== undefined,

    encode(values, { importance } = {}) {
      checkWhole(values, blockSize, name);
      checkValues(values, name);
      const bytes = new Uint8Array((values.length / blockSize) * blockBytes);
      if (importance) encodeRows(definition, loops, values, importance, bytes);
      else loops.encode(values, bytes);
      checkScales(definition, bytes, values);
      return bytes;
    },

    decode(bytes) {
      checkWhole(bytes, blockBytes, name);
      const values = new Float32Array((bytes.length / blockBytes) * blockSize);
      loops.decode(bytes, values);
      return values;
    },

    firstInvalid: (bytes) => invalidBlock(checkWhole(bytes, blockBytes, name), blockBytes, scales),
  };
}

function encodeRows(
  layout: BlockLayout,
  loops: BlockLoops,
  values: Float32Array,
  importance: Float32Array,
  bytes: Uint8Array,
): void {
  refuseImportance(layout.name, loops.encodeRow ? undefined : importance);
  checkImportance(values, importance, layout);
  const row = importance.length;
  const rowBytes = (row / layout.blockSize) * layout.blockBytes;
  for (let i = 0; i * row < values.length; i++) {
    loops.encodeRow?.(
      values.subarray(i * row, (i + 1) * row),
      importance,
      bytes.subarray(i * rowBytes, (i + 1) * rowBytes),
    );
  }
}

/** Throws if there is an importance: for types that take none. */
export function refuseImportance(name: string, importance: Float32Array | undefined): void {
  if (!importance) return;
  throw new QloraError({
    what: 'an importance changes nothing here',
    where: name,
    fix: 'leave it out; takesImportance says which types take one',
    rule: 'ggml/importance-not-taken',
  });
}

function checkScales(
  { name, blockSize, blockBytes, scales }: BlockDefinition,
  bytes: Uint8Array,
  values: Float32Array,
) {
  const block = invalidBlock(bytes, blockBytes, scales);
  if (block < 0) return;
  const magnitudes = values.subarray(block * blockSize, (block + 1) * blockSize).map(Math.abs);
  throw new QloraError({
    what: `block ${block} has a scale that is not finite; its largest magnitude is ${magnitudes.reduce((a, b) => Math.max(a, b))}`,
    where: name,
    fix: 'write f32 or bf16',
    rule: 'ggml/scale-not-finite',
  });
}
