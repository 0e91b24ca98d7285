// The packages' side of equality.py: takes jobs as lines of JSON on standard input, reads and writes arrays as raw bytes in
// the folder that is its argument, and answers each job with a line once its files are there.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { doubleDequantize, doubleQuantize } from '@qlora/double-quant';
import {
  dequantizeFp4,
  dequantizeNf4,
  type FloatDType,
  type QuantizedBlocks,
  quantizeFp4,
  quantizeNf4,
} from '@qlora/nf4';
import { bytesOf, type DType, viewAs } from '@qlora/tensor';

interface Job {
  readonly task: 'quantize' | 'dequantize' | 'double' | 'nested';
  readonly scheme: 'nf4' | 'fp4';
  readonly dtype: FloatDType;
  readonly blockSize: number;
  readonly count: number;
}

const folder = process.argv[2] ?? '.';
const read = <D extends DType>(dtype: D, name: string) => viewAs(dtype, readFileSync(join(folder, name)));
const write = (name: string, array: ArrayBufferView) => writeFileSync(join(folder, name), bytesOf(array));
const codecs = {
  nf4: { quantize: quantizeNf4, dequantize: dequantizeNf4 },
  fp4: { quantize: quantizeFp4, dequantize: dequantizeFp4 },
};

const tasks: Record<Job['task'], (job: Job) => void> = {
  /** Values to codes and scales. */
  quantize({ scheme, dtype, blockSize }) {
    const quantized = codecs[scheme].quantize({ dtype, data: read(dtype, 'values') }, { blockSize });
    writeQuantized(quantized);
  },
  /** Codes and scales to values of each type. */
  dequantize({ scheme, blockSize, count }) {
    const quantized = { codes: read('u8', 'codes'), absmax: read('f32', 'absmax') };
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      write(`ours.${dtype}`, codecs[scheme].dequantize(quantized, count, { blockSize, dtype }));
    }
  },
  /** Scales to 8 bits and back. */
  double({ blockSize }) {
    writeDouble(read('f32', 'values'), blockSize);
  },
  /** Values to codes and scales in 8 bits, and back. */
  nested({ scheme, dtype, blockSize, count }) {
    const { quantize, dequantize } = codecs[scheme];
    const { codes, absmax } = quantize({ dtype, data: read(dtype, 'values') }, { blockSize });
    writeQuantized({ codes, absmax });
    const scales = writeDouble(absmax);
    write('ours.f32', dequantize({ codes, absmax: scales }, count, { blockSize }));
  },
};

function writeQuantized({ codes, absmax }: QuantizedBlocks) {
  write('ours.codes', codes);
  write('ours.absmax', absmax);
}

function writeDouble(scales: Float32Array, blockSize = 256): Float32Array {
  const quantized = doubleQuantize(scales, { blockSize });
  const restored = doubleDequantize(quantized);
  write('ours.nested.codes', quantized.codes);
  write('ours.nested.absmax', quantized.nestedAbsmax);
  write('ours.nested.offset', Float32Array.of(quantized.offset));
  write('ours.nested.restored', restored);
  return restored;
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as Job;
  tasks[job.task](job);
  console.log('done');
}
