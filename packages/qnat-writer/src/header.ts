// The header of QNAT version 2: 64 bytes, little endian, with a checksum of its own in the last four.
import CRC32 from 'crc-32';
import { ALIGNMENT, align, HEADER_BYTES, LIMITS, QNAT_DIALECT, QNAT_MAGIC, QNAT_VERSION } from './layout';
import type { Refuse } from './refuse';

/** What the header says. */
export interface Header {
  readonly flags: number;
  readonly directorySize: number;
  readonly directoryCrc32: number;
  /** Position of the first tensor's first byte. */
  readonly dataStart: number;
  readonly dataSize: number;
  readonly tensorCount: number;
}

/** CRC-32 as in gzip and PNG: reflected polynomial 0xEDB88320, initial value and final XOR 0xFFFFFFFF. */
export const crc32 = (bytes: Uint8Array, seed = 0): number => CRC32.buf(bytes, seed) >>> 0;

/** The 64 bytes of a header. */
export function encodeHeader(header: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, QNAT_MAGIC, true);
  view.setUint16(4, QNAT_VERSION, true);
  view.setUint16(6, QNAT_DIALECT, true);
  view.setUint32(8, header.flags, true);
  view.setUint32(12, ALIGNMENT, true);
  view.setBigUint64(16, BigInt(HEADER_BYTES), true);
  view.setBigUint64(24, BigInt(header.directorySize), true);
  view.setBigUint64(32, BigInt(header.dataStart), true);
  view.setBigUint64(40, BigInt(header.dataSize), true);
  view.setUint32(48, header.tensorCount, true);
  view.setUint32(52, header.directoryCrc32, true);
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

/** Reads a header, whose magic and version are known to be right, and holds it to the size of the file. */
export function decodeHeader(bytes: Uint8Array, fileSize: number, refuse: Refuse): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (crc32(bytes.subarray(0, 60)) !== view.getUint32(60, true))
    return refuse('header-checksum', 'the header is damaged', undefined, 'fetch the file again');
  const number = (at: number, what: string) => {
    const value = view.getBigUint64(at, true);
    return value <= BigInt(fileSize)
      ? Number(value)
      : refuse('size', `${what} is ${value}, the file has ${fileSize} bytes`);
  };
  const alignment = view.getUint32(12, true);
  if (alignment !== ALIGNMENT)
    return refuse('alignment', `alignment is ${alignment}`, undefined, `${ALIGNMENT} is needed`);
  if (view.getUint32(56, true) !== 0)
    return refuse('reserved', 'bytes 56 to 59 of the header are not zero', undefined, 'zero is needed');
  const directoryStart = number(16, 'the directory offset');
  const directorySize = number(24, 'the directory size');
  const dataStart = number(32, 'the data offset');
  const dataSize = number(40, 'the data size');
  const tensorCount = view.getUint32(48, true);
  if (directoryStart !== HEADER_BYTES)
    return refuse('directory-offset', `the directory begins at ${directoryStart}`, undefined, '64 is needed');
  if (directorySize > LIMITS.directoryBytes)
    return refuse(
      'directory-size',
      `the directory has ${directorySize} bytes`,
      undefined,
      `the limit is ${LIMITS.directoryBytes}`,
    );
  if (tensorCount > LIMITS.tensors)
    return refuse(
      'tensor-count',
      `the header says ${tensorCount} tensors`,
      undefined,
      `the limit is ${LIMITS.tensors}`,
    );
  const expected = align(HEADER_BYTES + directorySize);
  if (dataStart !== expected)
    return refuse('data-offset', `the data begins at ${dataStart}`, undefined, `${expected} is needed`);
  if (dataStart + dataSize !== fileSize) {
    return refuse(
      'file-size',
      `data from ${dataStart} of ${dataSize} bytes does not end with the file at ${fileSize}`,
      undefined,
      'the file is cut or has something behind it: fetch it again',
    );
  }
  const directoryCrc32 = view.getUint32(52, true);
  return { flags: view.getUint32(8, true), directorySize, directoryCrc32, dataStart, dataSize, tensorCount };
}
