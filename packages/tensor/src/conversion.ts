// How a model is converted: as items, each cut into ranges that know nothing of one another. Ranges are read, computed and
// written in any order, several at a time, and what is in memory is those ranges, not the tensors. Quantizing, merging and
// exporting are all this one loop.
import type { TensorInfo, TensorSink } from './stream';

/** A sink that takes tensors in parts. */
export type RangeSink = TensorSink & Required<Pick<TensorSink, 'writeRange'>>;

/** A pure function that a worker thread can be asked for by its name. */
export interface Task<I, O> {
  readonly name: string;
  readonly run: (input: I) => O;
}

/** Runs a task's function, here or on another thread. Arrays that it is given belong to it from then on. */
export type RunTask = <I, O>(task: Task<I, O>, input: I) => Promise<O>;

/** {@link RunTask} on the caller's thread. */
export const runHere: RunTask = async (task, input) => task.run(input);

/** One tensor's way from a source to a sink of type S. */
export interface ConversionItem<S = RangeSink> {
  /** The tensor that is read, for messages and progress. */
  readonly name: string;
  /** What is written of it. */
  readonly outputs: readonly TensorInfo[];
  /** Names of outputs whose announced length is only an upper bound. */
  readonly late?: readonly string[];
  /** Values that are read. */
  readonly elements: number;
  /** Bytes that are read. */
  readonly bytes: number;
  /** Ranges begin at multiples of this many values. */
  readonly unit: number;
  /** Reads `count` values from `start` on, and writes what comes of them. */
  convert(start: number, count: number, sink: S, run: RunTask): Promise<void>;
  /** Called when all ranges are written: what is known only then. */
  finish?(sink: S): Promise<void>;
}

/** Values of a range, at most, unless one unit of an item is more: 16 MB in f32. */
export const RANGE_VALUES = 4 * 1024 * 1024;

/** How far a run is. */
export interface RunProgress {
  /** Bytes that were read and whose result is written. */
  readonly bytes: number;
  /** Items that are complete. */
  readonly items: number;
}

/** Options of {@link runItems}. */
export interface RunOptions<S> {
  readonly sink: S;
  /** Default: {@link runHere}. */
  readonly run?: RunTask | undefined;
  /** Ranges in flight at a time. Default 3: one is read and one written while one is computed. */
  readonly slots?: number | undefined;
  /** Called after each range. */
  readonly onProgress?: (progress: RunProgress) => void;
  /** Stops the run before its next range; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A range of an item. */
interface Range<S> {
  readonly item: ConversionItem<S>;
  readonly start: number;
  readonly count: number;
}

/** The ranges of an item: at least one, so that an empty tensor is written too. */
function* rangesOf<S>(item: ConversionItem<S>): Generator<Range<S>> {
  const unit = Math.max(1, item.unit);
  const length = unit * Math.max(1, Math.floor(RANGE_VALUES / unit));
  for (let start = 0; start === 0 || start < item.elements; start += length) {
    yield { item, start, count: Math.min(length, item.elements - start) };
  }
}

/**
 * Converts all items into the sink. The first error stops it; what is in flight ends before that error is thrown, so that
 * the sink can be dropped then.
 */
export async function runItems<S>(
  items: readonly ConversionItem<S>[],
  options: RunOptions<S>,
): Promise<void> {
  const { sink, run = runHere, slots = 3, onProgress, signal } = options;
  const left = new Map<ConversionItem<S>, number>();
  const queue = (function* () {
    for (const item of items) {
      const ranges = [...rangesOf(item)];
      left.set(item, ranges.length);
      yield* ranges;
    }
  })();
  let bytes = 0;
  let done = 0;
  let failure: { error: unknown } | undefined;
  const work = async () => {
    for (;;) {
      if (failure) return;
      const next = queue.next();
      if (next.done) return;
      const { item, start, count } = next.value;
      try {
        signal?.throwIfAborted();
        await item.convert(start, count, sink, run);
        const rest = (left.get(item) ?? 0) - 1;
        left.set(item, rest);
        if (rest === 0) {
          left.delete(item);
          await item.finish?.(sink);
          done++;
        }
        bytes += item.elements === 0 ? 0 : (item.bytes / item.elements) * count;
        onProgress?.({ bytes, items: done });
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, slots) }, work));
  if (failure) throw failure.error;
}
