// Who enters for which work, and with how many threads. An entrant is a program and one of its ways to do it; with a
// number of threads it becomes a contender.
import type { Variant, Work } from './job';
import type { PeerName } from './peers';

/** A program and one of its ways. */
export interface Entrant {
  readonly name: string;
  readonly peer: PeerName;
  readonly variant?: Variant;
  /** What it computes, in the words of the tables. */
  readonly what: string;
  /** `one`: it has no threads for this work, or the work is measured on one. `each`: it takes every number asked for. */
  readonly threads: 'one' | 'each';
  /**
   * How far its result may be from the baseline's, in units of the result's root mean square. What another rounding
   * explains passes; another product, layout or scale does not.
   */
  readonly tolerance: number;
}

/** An entrant with a number of threads. */
export interface Contender extends Omit<Entrant, 'threads'> {
  /** `qlora@2`: the name that JSON, marks and messages know it by. */
  readonly id: string;
  readonly threads: number;
}

// Sums in another order; sums or weights in bf16; another double quantization; a weight that is not quantized at all.
const SAME = 1e-3;
const BF16 = 0.06;
const OTHER_SCALES = 0.15;
const DENSE = 0.6;

const qlora = (threads: Entrant['threads'], what = 'NF4, f32'): Entrant => ({
  name: 'qlora',
  peer: 'qlora',
  what,
  threads,
  tolerance: SAME,
});

const copies: Entrant = {
  name: 'copy',
  peer: 'copy',
  variant: 'old memory',
  what: 'the same bytes, copied into memory that is there',
  threads: 'one',
  tolerance: SAME,
};
const freshCopies: Entrant = {
  ...copies,
  name: 'copy-new',
  variant: 'new memory',
  what: 'the same bytes, copied into new memory',
};

const bitsandbytes = (name: string, what: string, rest: Partial<Entrant> = {}): Entrant => ({
  name,
  peer: 'python',
  what,
  threads: 'each',
  tolerance: SAME,
  ...rest,
});

const codec: Readonly<Record<string, readonly Entrant[]>> = {
  quantize: [
    qlora('one', 'NF4'),
    copies,
    bitsandbytes('bitsandbytes', 'NF4: torch operations, it has no kernel for this on a CPU', {
      threads: 'one',
    }),
    { name: 'qlora-rs', peer: 'qlora-rs', what: 'NF4', threads: 'one', tolerance: SAME },
  ],
  dequantize: [
    qlora('one', 'NF4, into new memory'),
    copies,
    freshCopies,
    bitsandbytes('bitsandbytes', 'NF4, into new memory: its C++ kernel (AVX-512 where there is)', {
      threads: 'one',
    }),
    { name: 'qlora-rs', peer: 'qlora-rs', what: 'NF4, into new memory', threads: 'one', tolerance: SAME },
  ],
};

const dense = (name: PeerName, threads: Entrant['threads']): Entrant => ({
  name,
  peer: name,
  variant: 'dense f32',
  what: 'dense f32',
  threads,
  tolerance: DENSE,
});

const products: readonly Entrant[] = [
  qlora('each'),
  dense('tfjs-wasm', 'one'),
  dense('jax-js', 'one'),
  bitsandbytes('bitsandbytes-f32', 'NF4, f32: decodes the weight, then torch’s dense product', {
    variant: 'dequantize f32',
  }),
  bitsandbytes('bitsandbytes-bf16', 'NF4, bf16: decodes the weight, then torch’s dense product', {
    variant: 'dequantize bf16',
    tolerance: BF16,
  }),
  { ...dense('python', 'each'), name: 'pytorch' },
];
const forwardOnly: readonly Entrant[] = [
  bitsandbytes('bitsandbytes-fused', 'NF4, bf16: its fused AVX-512 kernel, for inference only', {
    variant: 'fused bf16',
    tolerance: BF16,
  }),
  {
    name: 'onnxruntime',
    peer: 'onnxruntime',
    variant: 'nf4 f32',
    what: 'NF4, f32: MatMulBnb4, which has no backward',
    threads: 'each',
    tolerance: SAME,
  },
];

const layer: readonly Entrant[] = [
  qlora('each', 'NF4 with double quantization, f32'),
  bitsandbytes('peft', 'PEFT on bitsandbytes: NF4 with double quantization, f32'),
  {
    name: 'qlora-rs',
    peer: 'qlora-rs',
    what: 'NF4 with double quantization of its own, f32; computes the frozen weight’s gradient too',
    threads: 'each',
    tolerance: OTHER_SCALES,
  },
];

const model: readonly Entrant[] = [
  qlora('each', 'NF4 with double quantization, f32'),
  bitsandbytes('peft', 'transformers and PEFT on bitsandbytes: NF4 with double quantization, f32', {
    tolerance: OTHER_SCALES,
  }),
];

/** Who enters for a kind of work. */
export function entrantsFor(work: Work): readonly Entrant[] {
  switch (work.kind) {
    case 'matmul':
      return work.direction === 'forward' ? [...products, ...forwardOnly] : products;
    case 'layer':
      return layer;
    case 'training':
      return model;
    case 'evaluation':
      return [qlora('each', 'NF4 with double quantization, f32')];
    default:
      return codec[work.kind] ?? [qlora('one', '')];
  }
}

/** The contenders of a case: those entrants whose program is there, once for each number of threads that they take. */
export function contendersFor(
  work: Work,
  threads: readonly number[],
  present: ReadonlySet<PeerName>,
): Contender[] {
  return entrantsFor(work)
    .filter(({ peer }) => present.has(peer))
    .flatMap(({ threads: kind, ...entrant }) =>
      (kind === 'one' ? [1] : threads).map((count) => ({
        ...entrant,
        id: `${entrant.name}@${count}`,
        threads: count,
      })),
    );
}
