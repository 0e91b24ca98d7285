// The codecs, through the functions that the packages export. They are synchronous and compute in the calling thread.
import { doubleDequantize, doubleQuantize } from '@qlora/double-quant';
import { q8_0 } from '@qlora/ggml-blocks';
import { dequantizeNf4, quantizeNf4 } from '@qlora/nf4';
import { bf16ArrayToF32, f16ArrayToF32, f32ArrayToBf16, f32ArrayToF16 } from '@qlora/tensor';
import { checkOf, type PreparedJob, readFloats } from '../../peers/serve.mjs';
import type { CodecKind, Job } from '../job';

type CodecJob = Extract<Job, { kind: CodecKind }>;

/** A run of a codec over a weight. What it needs beside the weight is made here. */
export function codecJob(job: CodecJob): PreparedJob {
  const values = readFloats(job.weight ?? '', job.outFeatures * job.inFeatures);
  switch (job.kind) {
    case 'quantize':
      return keeping(
        () => quantizeNf4(values),
        ({ absmax }) => absmax,
      );
    case 'dequantize': {
      const quantized = quantizeNf4(values);
      return keeping(() => dequantizeNf4(quantized, values.length), floats);
    }
    case 'double-quantize': {
      const { absmax } = quantizeNf4(values);
      return keeping(() => doubleQuantize(absmax), doubleDequantize);
    }
    case 'double-dequantize': {
      const nested = doubleQuantize(quantizeNf4(values).absmax);
      return keeping(() => doubleDequantize(nested), floats);
    }
    case 'q8_0-encode':
      return keeping(
        () => q8_0.encode(values),
        (blocks) => q8_0.decode(blocks),
      );
    case 'q8_0-decode': {
      const blocks = q8_0.encode(values);
      return keeping(() => q8_0.decode(blocks), floats);
    }
    case 'f32-to-f16':
      return keeping(() => f32ArrayToF16(values), f16ArrayToF32);
    case 'f16-to-f32': {
      const half = f32ArrayToF16(values);
      return keeping(() => f16ArrayToF32(half), floats);
    }
    case 'f32-to-bf16':
      return keeping(() => f32ArrayToBf16(values), bf16ArrayToF32);
    case 'bf16-to-f32': {
      const half = f32ArrayToBf16(values);
      return keeping(() => bf16ArrayToF32(half), floats);
    }
  }
}

const floats = (values: Float32Array) => values;

/** A job whose check is made of its last result. */
function keeping<T>(run: () => T, toFloats: (result: T) => Float32Array): PreparedJob {
  let last: T | undefined;
  return {
    run() {
      last = run();
    },
    check() {
      const checked = last === undefined ? undefined : checkOf(toFloats(last));
      last = undefined; // the check must not keep memory that the runs could use
      return checked;
    },
  };
}
