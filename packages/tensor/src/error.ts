// The one error class of the project. An error says what was wrong, where, and what would be right;
// the command line prints exactly that, without a stack trace.

/** The parts of a {@link QloraError}. */
export interface Problem {
  /** What was wrong, as a sentence without its full stop: `header length 9999 exceeds the file's 120 bytes`. */
  readonly what: string;
  /** Where: file, tensor, field, offset; from the outside in, joined by `: `. */
  readonly where?: string | readonly (string | undefined)[];
  /** What would be right or what to do, as a sentence without its full stop. */
  readonly fix?: string;
  /** The named rule of a format that the input breaks, for readers of foreign files: `safetensors/header-too-large`. */
  readonly rule?: string;
  /** The error underneath, if any. */
  readonly cause?: unknown;
}

/**
 * An expected failure: bad input, a missing file, an unsupported feature.
 *
 * @example
 * throw new QloraError({
 *   what: 'block size 7 is not a power of two',
 *   where: 'quantizeNf4',
 *   fix: 'use 64, 128, … 4096',
 * });
 */
export class QloraError extends Error {
  override readonly name = 'QloraError';
  readonly what: string;
  readonly where: string | undefined;
  readonly fix: string | undefined;
  readonly rule: string | undefined;

  constructor(problem: Problem) {
    const { what, fix, rule, cause } = problem;
    const where = Array.isArray(problem.where)
      ? problem.where.filter((part) => part !== undefined && part !== '').join(': ')
      : (problem.where as string | undefined);
    const head = where ? `${where}: ${what}` : what;
    super(
      `${head}.${fix ? ` ${fix[0]?.toUpperCase()}${fix.slice(1)}.` : ''}`,
      cause === undefined ? undefined : { cause },
    );
    this.what = what;
    this.where = where || undefined;
    this.fix = fix;
    this.rule = rule;
  }
}

/**
 * Runs `body`; a {@link QloraError} that comes out of it gets `where` put in front of its own place, so that the
 * layers of a program can each say what they know (the file, then the tensor, then the field).
 */
export async function locate<T>(where: string, body: () => Promise<T> | T): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw located(where, error);
  }
}

/** The error with `where` put in front of its own place, as {@link locate} throws it; any other error as it is. */
export function located(where: string, error: unknown): unknown {
  if (!(error instanceof QloraError)) return error;
  return new QloraError({ ...problemOf(error), where: [where, error.where], cause: error });
}

function problemOf(error: QloraError): Problem {
  return {
    what: error.what,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    ...(error.rule === undefined ? {} : { rule: error.rule }),
  };
}
