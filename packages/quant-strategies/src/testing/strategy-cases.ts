// What every strategy must do with any codec: the contract `QuantStrategy`, and that what comes out is a QuantizedTensor
// that can be stored, as cases that need no test framework.
import { fp4, nf4 } from '@qlora/nf4';
import {
  bytesOf,
  type DType,
  elementCount,
  flatRange,
  fromFloat32,
  QloraError,
  type Tensor,
  tensor,
  toFloat32,
} from '@qlora/tensor';
import { scalesOf } from '../blocks';
import type { Codec, QuantizedTensor, QuantStrategy, Scales, StrategyOptions } from '../contract';
import { partShape } from '../part-shape';
import { type ConformanceCase, refusalOf, require, requireSame } from './case';
import { codebookBound } from './codec-cases';
import { normals, normalTensor, SHAPES, VALUES } from './inputs';
import { requireFields, requireSameQuantized, throughJsonAndBytes } from './quantized';

const FLOATS: readonly DType[] = ['f64', 'f32', 'f16', 'bf16'];
const ROUNDING = 1e-6;
const TINY = 1e-37;

// A scale in 8 bits is off by at most 0.0073 of the largest distance from the mean.
const DOUBLE_QUANT_BOUND = 0.0075;

/** What {@link strategyCases} can be told. */
export interface StrategyCaseOptions {
  /** Codecs to try with. Default NF4 and FP4. */
  readonly codecs?: readonly Codec[];
  /** Block sizes to try. Default 32, 64 and 4096. */
  readonly blockSizes?: readonly number[];
  /**
   * Stores a tensor and reads it back, through a file format for instance; it must come back as it was. The codecs and the
   * strategy must be registered if that looks them up.
   */
  readonly store?: (quantized: QuantizedTensor) => Promise<QuantizedTensor> | QuantizedTensor;
}

/** One way to quantize. */
interface Setting {
  readonly strategy: QuantStrategy;
  readonly codec: Codec;
  readonly doubleQuant: boolean;
  readonly blockSizes: readonly number[];
}

/**
 * The cases that hold a strategy to its contract.
 * @example
 * import { it } from 'vitest';
 * for (const { name, run } of strategyCases(blockwise)) it(name, run);
 */
export function strategyCases(
  strategy: QuantStrategy,
  { codecs = [nf4, fp4], blockSizes = [32, 64, 4096], store }: StrategyCaseOptions = {},
): ConformanceCase[] {
  return codecs.flatMap((codec) =>
    [false, true].flatMap((doubleQuant) => {
      const setting: Setting = { strategy, codec, doubleQuant, blockSizes };
      const with8Bits = doubleQuant ? ', scales in 8 bits' : '';
      return settingCases(setting, store).map(({ name, run }) => ({
        name: `${strategy.name} with ${codec.name}${with8Bits}: ${name}`,
        run,
      }));
    }),
  );
}

function settingCases(setting: Setting, store: StrategyCaseOptions['store']): ConformanceCase[] {
  const cases: ConformanceCase[] = [
    {
      name: 'values of all kinds and shapes come back within half the widest gap of the codebook',
      run: () => checkRoundTrip(setting),
    },
    { name: 'a tensor says what it is', run: () => checkFields(setting) },
    { name: 'all float types are quantized as their values in f32', run: () => checkTypes(setting) },
    { name: 'the same tensor gives the same bytes, and stays as it was', run: () => checkPure(setting) },
    { name: 'NaN and infinity are refused, with name and place', run: () => checkNotFinite(setting) },
    { name: 'integers are refused', run: () => checkIntegers(setting) },
    { name: 'sizes that do not fit the shape are refused', run: () => checkDamaged(setting) },
    { name: 'a copy, and one of JSON and bytes, is the same tensor', run: () => checkCopies(setting) },
  ];
  if (setting.strategy.unit)
    cases.push({ name: 'parts of whole units make the whole', run: () => checkUnits(setting) });
  if (store)
    cases.push({ name: 'a tensor is stored and comes back', run: () => checkStored(setting, store) });
  return cases;
}

/** Calls `body` with options for every shape, block size and axis. A scalar has no axis, and may be refused for it. */
function eachTensor(
  { strategy, codec, doubleQuant, blockSizes }: Setting,
  kinds: readonly string[],
  body: (
    original: Tensor<'f32'>,
    quantized: QuantizedTensor,
    options: StrategyOptions,
    where: string,
  ) => void,
): void {
  for (const shape of SHAPES) {
    for (const kind of kinds) {
      const make = VALUES[kind] as (count: number) => Float32Array;
      const original = tensor('f32', shape, make(elementCount(shape)));
      for (const blockSize of blockSizes) {
        for (let axis = 0; axis < Math.max(1, shape.length); axis++) {
          const options = { blockSize, doubleQuant, axis, name: 'weight' };
          const where = `${kind} values of shape [${shape.join(', ')}], blocks of ${blockSize}, axis ${axis}`;
          if (shape.length === 0 && refusesScalars(strategy, codec, options)) continue;
          body(original, strategy.quantize(original, codec, options), options, where);
        }
      }
    }
  }
}

function refusesScalars(strategy: QuantStrategy, codec: Codec, options: StrategyOptions): boolean {
  try {
    strategy.quantize(normalTensor([]), codec, options);
    return false;
  } catch (error) {
    if (error instanceof QloraError) return true;
    throw error;
  }
}

function checkRoundTrip(setting: Setting): void {
  const { strategy, codec, doubleQuant } = setting;
  const gap = codebookBound(codec.codebook) + ROUNDING;
  eachTensor(setting, Object.keys(VALUES), (original, quantized, options, where) => {
    const values = original.data;
    const plain = strategy.quantize(original, codec, { ...options, doubleQuant: false });
    const [scales, exact] = [scalesOf(quantized), scalesOf(plain)];
    require(scales.length === exact.length, where, () => `${scales.length} scales, ${exact.length} if plain`);
    const largest = exact.reduce((most, scale) => Math.max(most, Math.abs(scale)), 0);
    const range = Math.max(0, ...values) - Math.min(0, ...values);
    require(largest <= range * (1 + ROUNDING) + TINY, where, () =>
      `a scale of ${largest} is more than the range of all values, ${range}`);
    const off = scales.reduce((most, scale, i) => Math.max(most, Math.abs(scale - exact[i]!)), 0);
    require(off <= (doubleQuant ? DOUBLE_QUANT_BOUND * largest + TINY : 0), where, () =>
      `a scale is off by ${off}, the largest being ${largest}`);
    const restored = strategy.dequantize(quantized, codec);
    require(restored.length === values.length, where, () => `${restored.length} of ${values.length} values`);
    const bound = gap * largest + off + ROUNDING * range + TINY;
    const wrong = restored.findIndex((value, i) => !(Math.abs(value - values[i]!) <= bound));
    require(wrong < 0, where, () =>
      `value ${wrong} is ${values[wrong]} and comes back as ${restored[wrong]}, off by more than ${bound}`);
  });
}

function checkFields(setting: Setting): void {
  const { strategy, codec, doubleQuant } = setting;
  eachTensor(setting, ['normal'], (original, quantized, _options, where) => {
    const { scheme, shape, dtype, blockSize, codes, scales } = quantized;
    requireFields(quantized, where);
    require(scheme === codec.name, where, () => `scheme is ${scheme}`);
    require(quantized.strategy === strategy.name, where, () => `strategy is ${quantized.strategy}`);
    const same = JSON.stringify(shape) === JSON.stringify(original.shape);
    require(same, where, () => `shape is [${shape.join(', ')}]`);
    require(dtype === 'f32', where, () => `dtype is ${dtype}`);
    require(Number.isSafeInteger(blockSize) && blockSize >= 0, where, () => `block size is ${blockSize}`);
    require(codes instanceof Uint8Array, where, () => 'codes are no Uint8Array');
    const kind = doubleQuant ? 'double' : 'plain';
    require(scales.kind === kind, where, () => `scales are ${scales.kind} and were asked for ${kind}`);
  });
  const original = normalTensor([12, 128]);
  const defaults = { blockSize: 64, doubleQuant: true, axis: 0 };
  const wanted = strategy.quantize(original, codec, defaults);
  requireSameQuantized(strategy.quantize(original, codec), wanted, 'a tensor quantized with no options');
}

function checkTypes(setting: Setting): void {
  const { strategy, codec } = setting;
  eachTensor(setting, ['normal', 'shifted'], (original, _quantized, options, where) => {
    for (const dtype of FLOATS) {
      const source = fromFloat32(dtype, original.shape, original.data);
      const given = strategy.quantize(source, codec, options);
      require(given.dtype === dtype, `${where}, ${dtype}`, () => `dtype is ${given.dtype}`);
      const single = tensor('f32', original.shape, toFloat32(source));
      const wanted = strategy.quantize(single, codec, options);
      requireSameQuantized({ ...given, dtype: 'f32' }, wanted, `${where}, ${dtype}`);
    }
  });
}

function checkPure(setting: Setting): void {
  const { strategy, codec } = setting;
  eachTensor(setting, ['normal', 'mostly zero'], (original, quantized, options, where) => {
    const before = original.data.slice();
    requireSameQuantized(strategy.quantize(original, codec, options), quantized, `${where}, again`);
    requireSame(original.data, before, `${where}: the values that were given`);
    const kept = structuredClone(quantized);
    const values = strategy.dequantize(quantized, codec);
    requireSame(strategy.dequantize(quantized, codec), values, `${where}: values, again`);
    requireSameQuantized(quantized, kept, `${where}, once dequantized`);
    // Values in a view that begins anywhere.
    const room = new Float32Array(original.data.length + 1);
    room.set(original.data, 1);
    const view = tensor('f32', original.shape, room.subarray(1));
    requireSameQuantized(strategy.quantize(view, codec, options), quantized, `${where}, as a view`);
  });
}

function checkNotFinite({ strategy, codec, doubleQuant }: Setting): void {
  for (const shape of [[3], [5, 43], [12, 128]]) {
    const count = elementCount(shape);
    for (const index of [0, 1, 70, count - 1].filter((i) => i < count)) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const dtype of FLOATS) {
          const values = normals(count);
          values[index] = value;
          const damaged = fromFloat32(dtype, shape, values);
          const where = `${value} as value ${index} of shape [${shape.join(', ')}], ${dtype}`;
          const refuse = (start?: number) =>
            refusalOf(
              () =>
                strategy.quantize(damaged, codec, {
                  ...{ doubleQuant, name: 'layers.7.weight' },
                  ...(start === undefined ? {} : { start }),
                }),
              where,
            ).message;
          const message = refuse();
          const named = message.includes('layers.7.weight') && new RegExp(`\\b${index}\\b`).test(message);
          require(named, where, () => `is refused without the name and the index: ${message}`);
          const later = refuse(7000);
          require(later.includes(String(7000 + index)), `${where}, in a part from value 7000 on`, () =>
            `is refused without the index in the whole tensor: ${later}`);
        }
      }
    }
  }
}

function checkIntegers({ strategy, codec, doubleQuant }: Setting): void {
  for (const source of [
    tensor('i32', [64], new Int32Array(64)),
    tensor('u8', [64], new Uint8Array(64)),
    tensor('bool', [0], new Uint8Array()),
  ]) {
    const where = `a tensor of ${source.dtype}`;
    const { message } = refusalOf(
      () => strategy.quantize(source, codec, { doubleQuant, name: 'layers.7.weight' }),
      where,
    );
    require(message.includes('layers.7.weight'), where, () => `is refused without its name: ${message}`);
  }
}

function checkDamaged(setting: Setting): void {
  const { strategy, codec } = setting;
  eachTensor(setting, ['normal'], (original, quantized, _options, where) => {
    const refuse = (damaged: QuantizedTensor, how: string) =>
      refusalOf(() => strategy.dequantize(damaged, codec), `${where}, ${how}`);
    const { codes, scales, zeroPoints } = quantized;
    refuse({ ...quantized, codes: longer(codes) }, 'a byte of codes too many');
    refuse({ ...quantized, scales: withScales(scales, longer) }, 'a scale too many');
    if (zeroPoints) refuse({ ...quantized, zeroPoints: longer(zeroPoints) }, 'a zero point too many');
    if (original.data.length === 0) return;
    refuse({ ...quantized, codes: codes.subarray(1) }, 'a byte of codes too few');
    refuse(
      { ...quantized, scales: withScales(scales, (list) => list.subarray(1) as never) },
      'a scale too few',
    );
    if (!zeroPoints) return;
    refuse({ ...quantized, zeroPoints: zeroPoints.subarray(1) }, 'a zero point too few');
    const { zeroPoints: _, ...without } = quantized;
    refuse(without, 'no zero points');
  });
}

function longer<T extends Uint8Array | Float32Array>(list: T): T {
  const Kind = list.constructor as new (length: number) => T;
  const result = new Kind(list.length + 1);
  result.set(list);
  return result;
}

function withScales(scales: Scales, change: <T extends Uint8Array | Float32Array>(list: T) => T): Scales {
  if (scales.kind === 'plain') return { kind: 'plain', values: change(scales.values) };
  const { quantized } = scales;
  // As many nested scales as the codes need, so that it is the tensor that does not fit.
  const nestedAbsmax = longer(quantized.nestedAbsmax);
  return { kind: 'double', quantized: { ...quantized, codes: change(quantized.codes), nestedAbsmax } };
}

function checkCopies(setting: Setting): void {
  const { strategy, codec } = setting;
  eachTensor(setting, ['normal', 'one-sided'], (_original, quantized, _options, where) => {
    const values = strategy.dequantize(quantized, codec);
    for (const [how, copy] of [
      ['a structured clone', structuredClone(quantized)],
      ['JSON and bytes', throughJsonAndBytes(quantized)],
    ] as const) {
      requireSameQuantized(copy, quantized, `${where}, through ${how}`);
      requireSame(strategy.dequantize(copy, codec), values, `${where}, values through ${how}`);
    }
  });
}

async function checkStored(
  setting: Setting,
  store: NonNullable<StrategyCaseOptions['store']>,
): Promise<void> {
  const { strategy, codec } = setting;
  const all: [QuantizedTensor, string][] = [];
  eachTensor(setting, ['normal', 'shifted'], (original, quantized, options, where) => {
    all.push([quantized, where]);
    const half = fromFloat32('bf16', original.shape, original.data);
    all.push([strategy.quantize(half, codec, options), `${where}, bf16`]);
  });
  for (const [quantized, where] of all) {
    const back = await store(quantized);
    requireSameQuantized(back, quantized, `${where}, stored`);
    const values = strategy.dequantize(quantized, codec);
    requireSame(strategy.dequantize(back, codec), values, `${where}, values of what was stored`);
  }
}

function checkUnits(setting: Setting): void {
  const { strategy, codec } = setting;
  let cut = 0;
  eachTensor({ ...setting, doubleQuant: false }, ['normal'], (original, whole, options, where) => {
    const unit = strategy.unit?.(original.shape, options);
    if (unit === undefined) return;
    require(Number.isSafeInteger(unit) && unit > 0, where, () => `the unit is ${unit}`);
    const count = original.data.length;
    for (const length of [unit, 3 * unit]) {
      const parts: QuantizedTensor[] = [];
      for (let start = 0; start < count; start += length) {
        const part = flatRange(original, start, Math.min(length, count - start));
        const shaped = { ...part, shape: partShape(original.shape, part.data.length) } as Tensor;
        parts.push(strategy.quantize(shaped, codec, { ...options, start }));
        if (start > 0) cut++;
      }
      const [first] = parts;
      if (!first) continue;
      const joined: QuantizedTensor = {
        ...first,
        shape: original.shape,
        codes: new Uint8Array(join(parts.map(({ codes }) => codes))),
        scales: { kind: 'plain', values: new Float32Array(join(parts.map(scalesOf))) },
        ...(first.zeroPoints
          ? { zeroPoints: new Float32Array(join(parts.map((part) => part.zeroPoints ?? new Float32Array()))) }
          : {}),
      };
      requireSameQuantized(joined, whole, `${where}, in parts of ${length}`);
    }
  });
  require(cut > 0, 'the unit', () => 'is undefined, or so long that nothing was cut');
}

/** The bytes of arrays, one after the other. */
function join(arrays: readonly ArrayBufferView[]): ArrayBuffer {
  const all = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let end = 0;
  for (const array of arrays) {
    all.set(bytesOf(array), end);
    end += array.byteLength;
  }
  return all.buffer;
}
