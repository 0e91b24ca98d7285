// What is measured: a case is work with a size. There are two suites, a quick one in small sizes, and the marks, whose
// sizes those of the project's goals are.
import { CODEC_KINDS, type CodecKind, type ModelShape, type Work } from './job';

/** What a rate counts. */
export type Unit = 'bytes of f32' | 'floating-point operations' | 'tokens';

/** One measurement, of all who enter for it. */
export interface Case {
  /** `matmul-forward/4096x4096/rows-512`: by this name files are compared. */
  readonly id: string;
  readonly title: string;
  readonly group: 'codec' | 'product' | 'layer' | 'model';
  readonly work: Work;
  /** How much work one run is. */
  readonly amount: number;
  readonly unit: Unit;
  /** Processes of its own, so that peaks of memory are its own. */
  readonly fresh: boolean;
  /** Part of the rounds that it gets, of what is slow. */
  readonly share: number;
}

/** Names of suites. */
export const SUITES = ['quick', 'marks'] as const;

/** One of {@link SUITES}. */
export type Suite = (typeof SUITES)[number];

/** SmolLM2-135M's shape. */
export const SMOLLM2_135M: ModelShape = {
  hidden: 576,
  intermediate: 1536,
  layers: 30,
  heads: 9,
  keyHeads: 3,
  vocabulary: 49152,
  context: 2048,
};

const TINY: ModelShape = {
  hidden: 128,
  intermediate: 384,
  layers: 4,
  heads: 4,
  keyHeads: 2,
  vocabulary: 1024,
  context: 256,
};

const codecTitles: Readonly<Record<CodecKind, string>> = {
  quantize: 'Quantize to NF4',
  dequantize: 'Dequantize from NF4',
  'double-quantize': 'Double-quantize the scales',
  'double-dequantize': 'Restore double-quantized scales',
  'q8_0-encode': 'Encode to q8_0',
  'q8_0-decode': 'Decode from q8_0',
  'f32-to-f16': 'Convert f32 to f16',
  'f16-to-f32': 'Convert f16 to f32',
  'f32-to-bf16': 'Convert f32 to bf16',
  'bf16-to-f32': 'Convert bf16 to f32',
};

/** Values in a block of NF4, which share a scale. */
const BLOCK_SIZE = 64;

const sizeName = (size: number) => `${size}x${size}`;
const sizeTitle = (size: number) => `${size} × ${size}`;

function codecCase(kind: CodecKind, size: number): Case {
  const values = size * size;
  const scales = kind.startsWith('double');
  return {
    id: `${kind}/${sizeName(size)}`,
    title: `${codecTitles[kind]}, ${sizeTitle(size)}`,
    group: 'codec',
    work: { kind, outFeatures: size, inFeatures: size },
    amount: 4 * (scales ? values / BLOCK_SIZE : values),
    unit: 'bytes of f32',
    fresh: false,
    share: 1,
  };
}

function productCase(size: number, rows: number, direction: 'forward' | 'backward'): Case {
  return {
    id: `matmul-${direction}/${sizeName(size)}/rows-${rows}`,
    title: `${direction === 'forward' ? 'x · Wᵀ' : 'dy · W'}, W ${sizeTitle(size)}, ${rows} ${rows === 1 ? 'row' : 'rows'}`,
    group: 'product',
    work: { kind: 'matmul', outFeatures: size, inFeatures: size, rows, direction },
    amount: 2 * rows * size * size,
    unit: 'floating-point operations',
    fresh: false,
    share: 1,
  };
}

function layerCase(size: number, rows: number, rank: number): Case {
  return {
    id: `layer/${sizeName(size)}/rows-${rows}/rank-${rank}`,
    title: `Layer ${sizeTitle(size)} with LoRA of rank ${rank}, forward and backward, ${rows} rows`,
    group: 'layer',
    work: { kind: 'layer', outFeatures: size, inFeatures: size, rows, rank },
    // Through the base once forward and once backward; through A and B once forward and twice backward.
    amount: rows * (4 * size * size + 12 * rank * size),
    unit: 'floating-point operations',
    fresh: false,
    share: 1,
  };
}

interface ModelCase {
  readonly name: string;
  readonly title: string;
  readonly kind: 'training' | 'evaluation';
  readonly model: ModelShape;
  readonly batch: number;
  readonly sequenceLength: number;
  readonly checkpointing: boolean;
  readonly share: number;
}

function modelCase({ name, title, share, ...work }: ModelCase): Case {
  const { kind, batch, sequenceLength, checkpointing } = work;
  return {
    id: `${kind}/${name}/${batch}x${sequenceLength}${checkpointing ? '/checkpointing' : ''}`,
    title: `${kind === 'training' ? 'Training step' : 'Evaluation'}, ${title}, ${batch} × ${sequenceLength} tokens${
      kind === 'training' ? `, ${checkpointing ? 'with' : 'without'} checkpointing` : ''
    }`,
    group: 'model',
    work: { ...work, rank: 16 },
    amount: batch * sequenceLength,
    unit: 'tokens',
    fresh: true,
    share,
  };
}

function quick(): Case[] {
  const tiny = { name: 'tiny', title: '4 layers of 128', model: TINY, share: 1 };
  const short = { ...tiny, sequenceLength: 128, checkpointing: false };
  return [
    ...CODEC_KINDS.map((kind) => codecCase(kind, 1024)),
    ...[1, 16, 128].map((rows) => productCase(1024, rows, 'forward')),
    productCase(1024, 128, 'backward'),
    layerCase(1024, 128, 16),
    modelCase({ ...short, kind: 'training', batch: 2 }),
    modelCase({ ...short, kind: 'training', batch: 2, checkpointing: true }),
    modelCase({ ...short, kind: 'evaluation', batch: 1 }),
  ];
}

function marks(): Case[] {
  const size = 4096;
  const rows = [1, 16, 128, 512];
  const smol = {
    name: 'smollm2-135m',
    title: 'the shape of SmolLM2-135M',
    kind: 'training',
    model: SMOLLM2_135M,
    batch: 1,
    sequenceLength: 512,
    share: 0.5,
  } as const;
  return [
    ...CODEC_KINDS.map((kind) => codecCase(kind, size)),
    ...rows.map((count) => productCase(size, count, 'forward')),
    ...rows.map((count) => productCase(size, count, 'backward')),
    layerCase(size, 512, 16),
    modelCase({ ...smol, checkpointing: false }),
    modelCase({ ...smol, checkpointing: true }),
  ];
}

/** The cases of a suite, or those of them with `filter` in their name. */
export function casesOf(suite: Suite, filter = ''): Case[] {
  const wanted = filter.toLowerCase();
  return (suite === 'quick' ? quick() : marks()).filter(
    ({ id, title }) => id.includes(wanted) || title.toLowerCase().includes(wanted),
  );
}
