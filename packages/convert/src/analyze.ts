// What quantization costs the weights of a model, in several schemes at once. A tensor is read in parts, each of which is
// encoded, decoded and compared on a thread; where scales are quantized to 8 bits, which takes those of the whole tensor, its
// parts are read and encoded once more when those are known. In memory are a few parts and the scales of a tensor, never its
// codes. Parts and the order in which their sums are added follow from the shapes alone, so that figures are the same to the
// last bit on any number of threads.
import { doubleDequantize } from '@qlora/double-quant';
import {
  combineErrors,
  type ErrorSums,
  packScales,
  partShape,
  type QuantizationConfig,
  quantizedByteLength,
  strategyOf,
} from '@qlora/quant-strategies';
import {
  type DType,
  elementCount,
  elementSize,
  findTensor,
  type RunTask,
  readRange,
  runHere,
  type Shape,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import { type Measured, type MeasureRequest, measureTask } from './analyze-measure';
import { allSettled, prioritySlots } from './analyze-slots';
import type { LinearWeight } from './linear-weights';
import { transposedInfo, transposedSource } from './transposed';

/** Errors of a tensor. */
export interface AnalyzedTensor {
  readonly name: string;
  readonly dtype: DType;
  /** Its shape as it is quantized: that of a Conv1D is turned. */
  readonly shape: Shape;
  /** For each scheme, in the order of the schemes. */
  readonly sums: readonly ErrorSums[];
}

/** How far an analysis is. */
export interface AnalysisProgress {
  /** Bytes that were read and measured; those that are read twice count twice. */
  readonly bytes: number;
  readonly totalBytes: number;
  readonly tensors: number;
  readonly totalTensors: number;
}

/** Options of {@link analyzeTensors}. */
export interface AnalyzeOptions {
  /** Default: on the caller's thread. */
  readonly run?: RunTask | undefined;
  /** Parts in flight at a time. Default 3: one is read while another is measured. */
  readonly slots?: number | undefined;
  /** Called after each part. */
  readonly onProgress?: (progress: AnalysisProgress) => void;
  /** Stops the work before its next part; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Values of a part, at most, unless a strategy cannot cut a tensor so fine: 4 MB in f32. */
const PART_VALUES = 1024 * 1024;

/**
 * What each scheme makes of each of some tensors: the sums of `compareSchemes`.
 *
 * @param weights tensors of f32, f16 or bf16; one that is `transposed` is read whole and turned.
 * @throws QloraError for a value that is not finite, by its place; what is in flight ends before that.
 */
export async function analyzeTensors(
  source: TensorSource,
  weights: readonly LinearWeight[],
  schemes: readonly QuantizationConfig[],
  options: AnalyzeOptions = {},
): Promise<AnalyzedTensor[]> {
  const { run = runHere, slots = 3, onProgress, signal } = options;
  const layouts = layoutsOf(schemes);
  const tensors = weights.map(({ name, transposed }) => planTensor(source, name, transposed, layouts));
  const totalBytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const inSlot = prioritySlots(slots, signal);
  let [bytes, done] = [0, 0];
  const report = () => onProgress?.({ bytes, totalBytes, tensors: done, totalTensors: tensors.length });

  const results: AnalyzedTensor[] = [];
  let next = 0;
  const work = async () => {
    while (next < tensors.length) {
      const index = next++;
      const tensor = tensors[index]!;
      const measure: Measure = (part, requests) =>
        inSlot(index, async () => {
          const values = await readRange(tensor.source, tensor.info.name, part.start, part.count);
          const place = { where: [source.label, tensor.info.name], start: part.start };
          const shaped = { ...values, shape: partShape(tensor.info.shape, part.count) };
          const measured = await run(measureTask, { part: shaped, place, requests });
          bytes += part.count * elementSize(tensor.info.dtype);
          report();
          return measured;
        });
      const sums = new Array<ErrorSums>(schemes.length);
      for (const group of tensor.groups) await measureGroup(group, measure, sums);
      const { name, dtype, shape } = tensor.info;
      results[index] = { name, dtype, shape, sums };
      done++;
      report();
    }
  };
  await allSettled(Array.from({ length: Math.max(1, Math.min(slots, tensors.length)) }, work));
  return results;
}

/** Schemes that differ in nothing but double quantization, so that codes and scales are the same: their indices. */
interface Layout {
  readonly config: Omit<QuantizationConfig, 'doubleQuant'>;
  readonly plain?: number;
  readonly double?: number;
}

function layoutsOf(schemes: readonly QuantizationConfig[]): Layout[] {
  const layouts = new Map<string, Layout>();
  for (const [index, { doubleQuant, scheme, strategy, blockSize }] of schemes.entries()) {
    const config = { scheme, strategy, blockSize };
    const key = JSON.stringify(config);
    const layout = layouts.get(key) ?? { config };
    layouts.set(key, { ...layout, [doubleQuant ? 'double' : 'plain']: index });
  }
  return [...layouts.values()];
}

interface Part {
  readonly start: number;
  readonly count: number;
}

/** Layouts that can be cut at the same places, so that a part is read once for all of them. */
interface Group {
  readonly layouts: readonly Layout[];
  readonly parts: readonly Part[];
}

interface PlannedTensor {
  readonly source: TensorSource;
  readonly info: TensorInfo;
  readonly groups: readonly Group[];
  /** Bytes that will be read. */
  readonly bytes: number;
}

/** Measures a part in some layouts. */
type Measure = (part: Part, requests: readonly MeasureRequest[]) => Promise<Measured[]>;

function planTensor(
  source: TensorSource,
  name: string,
  transposed: boolean,
  layouts: readonly Layout[],
): PlannedTensor {
  const found = findTensor(source, name);
  const info = transposed ? transposedInfo(found) : found;
  const count = elementCount(info.shape);
  // A view that turns a tensor has no ranges.
  const least = transposed ? count : 1;
  const groups = groupsOf(info.shape, least, layouts);
  const size = count * elementSize(info.dtype);
  return {
    source: transposed ? transposedSource(source, name) : source,
    info,
    groups,
    bytes: groups.reduce((sum, group) => sum + size * (isReadTwice(group) ? 2 : 1), 0),
  };
}

const isReadTwice = ({ parts, layouts }: Group): boolean =>
  parts.length > 1 && layouts.some(({ double }) => double !== undefined);

function groupsOf(shape: Shape, least: number, layouts: readonly Layout[]): Group[] {
  const count = elementCount(shape);
  const groups: { unit: number; layouts: Layout[] }[] = [];
  for (const layout of layouts) {
    const { strategy, blockSize } = layout.config;
    const unit =
      count <= PART_VALUES || least === count
        ? Math.max(1, count)
        : (strategyOf(strategy).unit?.(shape, { blockSize }) ?? count);
    const group = groups.find((other) => other.unit === unit || commonUnit(other.unit, unit) <= PART_VALUES);
    if (group) {
      group.unit = commonUnit(group.unit, unit);
      group.layouts.push(layout);
    } else groups.push({ unit, layouts: [layout] });
  }
  return groups.map(({ unit, layouts }) => ({ layouts, parts: partsOf(count, unit) }));
}

function partsOf(count: number, unit: number): Part[] {
  const length = unit * Math.max(1, Math.floor(PART_VALUES / unit));
  return Array.from({ length: Math.max(1, Math.ceil(count / length)) }, (_, i) => ({
    start: i * length,
    count: Math.min(length, count - i * length),
  }));
}

/** The least number that both divide. */
function commonUnit(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}

/** Measures a tensor in the layouts of a group, and puts the sums where their schemes are. */
async function measureGroup({ layouts, parts }: Group, measure: Measure, sums: ErrorSums[]): Promise<void> {
  const [whole] = parts;
  if (whole && parts.length === 1) {
    const requests = layouts.map(({ config, plain, double }) => ({
      ...{ ...config, plain: plain !== undefined },
      ...(double === undefined ? {} : { double: 'whole' as const }),
    }));
    for (const [i, measured] of (await measure(whole, requests)).entries()) {
      const { plain, double } = layouts[i] as Layout;
      if (plain !== undefined && measured.plain) sums[plain] = measured.plain;
      if (double !== undefined && measured.double) sums[double] = measured.double;
    }
    return;
  }

  const requests = layouts.map(({ config, plain, double }) => ({
    ...{ ...config, plain: plain !== undefined },
    ...(double === undefined ? {} : { double: 'collect' as const }),
  }));
  const first = await allSettled(parts.map((part) => measure(part, requests)));
  for (const [i, { plain }] of layouts.entries())
    if (plain !== undefined) sums[plain] = combineErrors(first.map((part) => part[i]!.plain!));

  const doubled = layouts.flatMap(({ config, double }, i) => {
    if (double === undefined) return [];
    const collected = first.map((part) => part[i]!.scales!);
    return [{ config, double, ...restore(collected) }];
  });
  first.length = 0;
  if (doubled.length === 0) return;
  const second = await allSettled(
    parts.map((part, p) =>
      measure(
        part,
        doubled.map(({ config, restored }) => ({ ...config, plain: false, double: restored[p]! })),
      ),
    ),
  );
  for (const [i, { double, bytes }] of doubled.entries()) {
    const total = combineErrors(second.map((part) => part[i]!.double!));
    sums[double] = { ...total, bytes: total.bytes + bytes };
  }
}

/** The scales of all parts quantized together and back, cut as they came, and the bytes that they take. */
function restore(parts: readonly Float32Array[]): { restored: Float32Array[]; bytes: number } {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  const starts: number[] = [];
  let at = 0;
  for (const part of parts) {
    starts.push(at);
    all.set(part, at);
    at += part.length;
  }
  const scales = packScales(all, true);
  const nothing = { scheme: '', strategy: '', shape: [0], dtype: 'f32', blockSize: 1 } as const;
  const values = scales.kind === 'double' ? doubleDequantize(scales.quantized) : scales.values;
  return {
    restored: parts.map(({ length }, i) => values.subarray(starts[i]!, starts[i]! + length)),
    bytes: quantizedByteLength({ ...nothing, codes: new Uint8Array(0), scales }),
  };
}
