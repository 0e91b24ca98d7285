// Progress of what goes through a model byte by byte: how much, which tensor, how fast, how long yet.
import { bytes, type Reporter } from './reporter';

/** How far a run through a model is. */
export interface ByteProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly tensors: number;
  readonly totalTensors: number;
}

/** A bar that appears with the first update. */
export function byteProgress(
  label: string,
  reporter: Reporter,
): { update(progress: ByteProgress): void; stop(): void } {
  const start = performance.now();
  let bar: ReturnType<Reporter['progress']> | undefined;
  return {
    update({ bytes: done, totalBytes, tensors, totalTensors }) {
      bar ??= reporter.progress(label, totalBytes, bytes);
      const rate = done / Math.max(1e-3, (performance.now() - start) / 1000);
      bar.update(done, `${tensors}/${totalTensors} tensors, ${bytes(rate)}/s`);
    },
    stop: () => bar?.stop(),
  };
}
