// Valid files for the fuzzing, small so that chance reaches all of them: every type of value and of block, no tensors, parts of
// a split model, importance matrices in both forms.
import { readFileSync } from 'node:fs';
import { blockLayouts, blockTypeById } from '@qlora/ggml-blocks';
import { elementCount, memorySink, random } from '@qlora/tensor';
import type { GgufValue, ScalarType } from '../value';
import { type GgufTensorPlan, ggufSink } from '../writer';
import { tinyParts } from './tiny-files';
import { type TinyModel, tinyModels } from './tiny-models';

const scalars = {
  u8: { type: 'u8', value: 255 },
  i8: { type: 'i8', value: -128 },
  u16: { type: 'u16', value: 65_535 },
  i16: { type: 'i16', value: -32_768 },
  u32: { type: 'u32', value: 4_294_967_295 },
  i32: { type: 'i32', value: -2_147_483_648 },
  f32: { type: 'f32', value: 0.15625 },
  bool: { type: 'bool', value: true },
  string: { type: 'string', value: 'größer 漢字 🦙' },
  u64: { type: 'u64', value: 2n ** 64n - 1n },
  i64: { type: 'i64', value: -(2n ** 63n) },
  f64: { type: 'f64', value: -1.7976931348623157e308 },
} as const satisfies Record<ScalarType, GgufValue>;

/** Every type of value with its extremes, then an array and an empty array of each. */
export const everyValue: ReadonlyMap<string, GgufValue> = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'test' }],
  ...Object.entries(scalars).map(([type, value]): [string, GgufValue] => [`one.${type}`, value]),
  ['zero.f32', { type: 'f32', value: -0 }],
  ['empty.string', { type: 'string', value: '' }],
  ['false.bool', { type: 'bool', value: false }],
  ...Object.entries(scalars).map(([type, { value }]): [string, GgufValue] => {
    const other = { bigint: 1n, boolean: false, string: '', number: 0 }[typeof value as 'number'];
    return [`array.${type}`, { type: 'array', items: type as ScalarType, value: [value, other, value] }];
  }),
  ...Object.keys(scalars).map((type): [string, GgufValue] => [
    `none.${type}`,
    { type: 'array', items: type as ScalarType, value: [] },
  ]),
]);

/** A file with noise for data. Any bytes are blocks. */
export async function noiseFile(
  metadata: ReadonlyMap<string, GgufValue>,
  plans: readonly GgufTensorPlan[],
): Promise<Uint8Array> {
  const sink = memorySink('noise.gguf');
  const file = await ggufSink(sink, { metadata, tensors: plans });
  const rng = random(7);
  for (const { name, shape, type } of plans) {
    const length = (elementCount(shape) / type.blockSize) * type.blockBytes;
    await file.writeBlocks(
      name,
      0,
      Uint8Array.from({ length }, () => rng.integer(256)),
    );
  }
  await file.finish();
  return sink.bytes();
}

/** One row of two blocks in every type that is decoded here, so that rows of 64 divide in few of them. */
const everyType = [...blockLayouts.keys()].flatMap((id): GgufTensorPlan[] => {
  const type = blockTypeById(id);
  return type ? [{ name: `t.${type.name}`, shape: [2, type.blockSize], type }] : [];
});
const plan = (name: string, shape: readonly number[], id: number): GgufTensorPlan => {
  const type = blockTypeById(id);
  if (!type) throw new Error(`no type ${id}`);
  return { name, shape, type };
};

/** Files of one part. */
export const seedFiles: readonly Uint8Array[] = [
  await noiseFile(everyValue, [plan('a', [3], 0), plan('b', [2, 32], 8)]),
  await noiseFile(new Map([['general.architecture', { type: 'string', value: 'x' }]]), everyType),
  await noiseFile(
    new Map<string, GgufValue>([
      ['general.alignment', { type: 'u32', value: 64 }],
      ['k', { type: 'bool', value: false }],
    ]),
    [plan('scalar', [], 0), plan('none', [0, 4], 0), plan('four', [2, 1, 2, 32], 2), plan('end', [5], 30)],
  ),
  await noiseFile(new Map(), []),
];

/** The files of a split model. */
export const seedParts: readonly Uint8Array[] = (
  await tinyParts(tinyModels[0] as TinyModel, 'q8_0', 50_000)
).map(({ bytes }) => bytes);

const golden = (name: string) =>
  Uint8Array.from(readFileSync(new URL(`../goldens/${name}`, import.meta.url)));
/** Importance matrices, those of llama.cpp. */
export const seedMatrices: readonly Uint8Array[] = [golden('imatrix.gguf'), golden('imatrix.dat')];
