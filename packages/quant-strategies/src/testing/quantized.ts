// Quantized tensors compared, and taken apart as files do it: into JSON and bytes.
import { bytesOf } from '@qlora/tensor';
import type { QuantizedTensor, Scales } from '../contract';
import { require, requireSame } from './case';

/** What a QuantizedTensor may hold; anything else would be lost when it is stored. */
const FIELDS = ['scheme', 'strategy', 'shape', 'dtype', 'blockSize', 'axis', 'codes', 'scales', 'zeroPoints'];

/** Throws if the tensor holds what the contract has no field for. */
export function requireFields(quantized: QuantizedTensor, where: string): void {
  const unknown = Object.keys(quantized).filter((key) => !FIELDS.includes(key));
  require(unknown.length === 0, where, () => `has ${unknown.join(', ')}, which no file would keep`);
}

/** Throws unless two tensors are the same in every field, bit for bit. A field that is undefined is not there. */
export function requireSameQuantized(given: QuantizedTensor, wanted: QuantizedTensor, where: string): void {
  const [a, b] = [describe(given), describe(wanted)];
  require(a === b, where, () => `is ${a} instead of ${b}`);
  requireSame(given.codes, wanted.codes, `${where}: codes`);
  requireSame(given.zeroPoints ?? nothing, wanted.zeroPoints ?? nothing, `${where}: zero points`);
  const [scales, wantedScales] = [arraysOf(given.scales), arraysOf(wanted.scales)];
  wantedScales.forEach((array, i) => {
    requireSame(scales[i] ?? nothing, array, `${where}: scales`);
  });
}

const nothing = new Uint8Array();

/** All that is not an array of numbers, as text. */
function describe({ codes: _, scales, zeroPoints, ...rest }: QuantizedTensor): string {
  const nested =
    scales.kind === 'double'
      ? { blockSize: scales.quantized.blockSize, offset: scales.quantized.offset }
      : {};
  const fields = { ...rest, ...nested, kind: scales.kind, hasZeroPoints: zeroPoints !== undefined };
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return JSON.stringify(Object.fromEntries(known.sort(([a], [b]) => (a < b ? -1 : 1))));
}

function arraysOf(scales: Scales): ArrayBufferView[] {
  if (scales.kind === 'plain') return [scales.values];
  const { codes, nestedAbsmax, map } = scales.quantized;
  return [codes, nestedAbsmax, map];
}

/** The tensor made again of what a file would hold: the documented fields, numbers and names as JSON, arrays as bytes. */
export function throughJsonAndBytes(quantized: QuantizedTensor): QuantizedTensor {
  const { codes, scales, zeroPoints, scheme, strategy, shape, dtype, blockSize, axis } = quantized;
  const floats = (array: Float32Array) => new Float32Array(bytesOf(array).slice().buffer);
  const rest = JSON.parse(JSON.stringify({ scheme, strategy, shape, dtype, blockSize, axis }));
  return {
    ...rest,
    codes: codes.slice(),
    scales: scalesThroughJsonAndBytes(scales, floats),
    ...(zeroPoints ? { zeroPoints: floats(zeroPoints) } : {}),
  };
}

function scalesThroughJsonAndBytes(scales: Scales, floats: (array: Float32Array) => Float32Array): Scales {
  if (scales.kind === 'plain') return { kind: 'plain', values: floats(scales.values) };
  const { codes, nestedAbsmax, map, blockSize, offset } = scales.quantized;
  return {
    kind: 'double',
    quantized: {
      ...(JSON.parse(JSON.stringify({ blockSize, offset })) as { blockSize: number; offset: number }),
      codes: codes.slice(),
      nestedAbsmax: floats(nestedAbsmax),
      map: floats(map),
    },
  };
}
