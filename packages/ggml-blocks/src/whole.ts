// Block types take whole blocks only.
import { QloraError } from '@qlora/tensor';

/** `data`, if its length is a multiple of `unit`. */
export function checkWhole<T extends Float32Array | Uint8Array>(data: T, unit: number, type: string): T {
  if (data.length % unit === 0) return data;
  const what = data instanceof Uint8Array ? 'bytes' : 'values';
  throw new QloraError({ what: `${data.length} ${what} are no whole blocks of ${unit}`, where: type });
}
