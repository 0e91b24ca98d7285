// A case of the kit, and how one fails. No test framework is needed: a case that returns has passed.
import { QloraError } from '@qlora/tensor';

/** Something that must hold. `it(name, run)` makes a test of it, `await run()` is enough anywhere else. */
export interface ConformanceCase {
  /** What is true of anything that passes. */
  readonly name: string;
  /** @throws QloraError saying what does not hold, and for which input. */
  run(): void | Promise<void>;
}

/** Throws unless `condition` holds. `what` says what was found instead; `where` is the input. */
export function require(condition: boolean, where: string, what: () => string): asserts condition {
  if (!condition) throw new QloraError({ what: what(), where });
}

/** The error that `body` refuses its input with. Throws if it takes it, and whatever it throws beside a QloraError. */
export function refusalOf(body: () => unknown, where: string): QloraError {
  try {
    body();
  } catch (error) {
    if (error instanceof QloraError) return error;
    throw error;
  }
  throw new QloraError({ what: 'is taken', where, fix: 'refuse it with a QloraError' });
}

/** Throws unless two arrays hold the same bits. */
export function requireSame(given: ArrayBufferView, wanted: ArrayBufferView, where: string): void {
  const [a, b] = [given, wanted].map(
    (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
  ) as [Uint8Array, Uint8Array];
  require(a.length === b.length, where, () => `${a.length} bytes instead of ${b.length}`);
  const index = a.findIndex((byte, i) => byte !== b[i]);
  require(index < 0, where, () => `byte ${index} is ${a[index]} instead of ${b[index]}`);
}
