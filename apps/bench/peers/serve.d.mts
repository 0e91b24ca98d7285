// Types of serve.mjs, for the driver of our own packages.

/** Root mean square and first values of a result. */
export interface Check {
  readonly rms: number;
  readonly head: number[];
}

/** A job that was set up. */
export interface PreparedJob {
  /** One run: what is timed, to its end. */
  run(): unknown;
  check?(): Check | undefined;
  /** Peaks of memory in bytes, by what holds it. */
  memory?(): Readonly<Record<string, number>>;
  free?(): unknown;
}

/** Answers requests until standard input ends. */
export function serve(driver: {
  describe(): Promise<object> | object;
  // biome-ignore lint/suspicious/noExplicitAny: each driver says which jobs it takes
  prepare(job: any): Promise<PreparedJob> | PreparedJob;
}): Promise<void>;

/** Values of a file of little-endian f32. */
export function readFloats(path: string, count: number): Float32Array;

/** Root mean square and first values. */
export function checkOf(values: Float32Array): Check;
