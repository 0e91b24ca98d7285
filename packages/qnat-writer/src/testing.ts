// What the tests of this package share.
import { bytesOf, QloraError, type TensorSource } from '@qlora/tensor';

/** Bit patterns of f32 values, so that NaN equals NaN and −0 differs from 0. */
export const bits = (values: Iterable<number>): number[] => [
  ...new Uint32Array(Float32Array.from(values).buffer),
];

/** The bytes of every tensor, decoded where it is quantized. */
export async function readAll(source: TensorSource): Promise<Map<string, number[]>> {
  const all = new Map<string, number[]>();
  for (const { name } of source.tensors) all.set(name, [...bytesOf((await source.read(name)).data)]);
  return all;
}

/**
 * The rule by which `body` refuses, or `accepted`. Any other error comes through, so that a test fails on it.
 */
export async function ruleOf(body: () => Promise<unknown>): Promise<string> {
  try {
    await body();
  } catch (error) {
    if (error instanceof QloraError) return error.rule ?? `no rule: ${error.message}`;
    throw error;
  }
  return 'accepted';
}
