// The drivers' side of the benchmark's protocol: one JSON object a line in, one out; see README.md. Odd: libraries
// print to standard output when they like, so console.log is sent to standard error and only answers go out.
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** Runs before the first that counts: compilers warm up, arenas grow, weights are packed. */
const WARM_UPS = 2;

/**
 * Answers requests until standard input ends.
 *
 * @param {object} driver
 * @param {() => Promise<object> | object} driver.describe versions and the like
 * @param {(job: any) => Promise<{ run: () => unknown, check?: () => unknown, memory?: () => object, free?: () => unknown }>} driver.prepare
 */
export async function serve({ describe, prepare }) {
  console.log = console.error;
  const jobs = new Map();
  let peak = 0;
  const find = (handle) => {
    const job = jobs.get(handle);
    if (!job) throw new Error(`no job has the handle ${handle}`);
    return job;
  };
  const answers = {
    describe: async () => describe(),
    async prepare({ job: description }) {
      const job = await prepare(description);
      for (let i = 0; i < WARM_UPS; i++) await job.run();
      const handle = jobs.size === 0 ? 1 : Math.max(...jobs.keys()) + 1;
      jobs.set(handle, job);
      const check = await job.check?.();
      globalThis.gc?.();
      peak = peakBytes();
      forgetPeak();
      return { handle, check };
    },
    async run({ handle, times = 1 }) {
      const job = find(handle);
      const ms = [];
      for (let i = 0; i < times; i++) {
        const start = performance.now();
        await job.run();
        ms.push(performance.now() - start);
      }
      return { ms };
    },
    async release({ handle }) {
      const job = find(handle);
      const steps = statusBytes('VmHWM');
      const memory = { process: Math.max(peak, peakBytes()), ...(steps && { steps }), ...job.memory?.() };
      jobs.delete(handle);
      await job.free?.();
      globalThis.gc?.();
      return { memory };
    },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (request.do === 'stop') break;
    let answer;
    try {
      const act = answers[request.do];
      if (!act) throw new Error(`does not know how to ${request.do}`);
      answer = { ok: true, ...(await act(request)) };
    } catch (error) {
      answer = { ok: false, error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

/** The most memory that the process has held, in bytes. */
const peakBytes = () => process.resourceUsage().maxRSS * 1024;

/** A field of Linux' /proc/self/status in bytes; 0 elsewhere. */
function statusBytes(field) {
  try {
    const line = readFileSync('/proc/self/status', 'utf8')
      .split('\n')
      .find((text) => text.startsWith(field));
    return Number(line?.match(/\d+/)?.[0] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Makes Linux count the peak of resident memory anew. */
function forgetPeak() {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Elsewhere there is no such thing, and no `steps` is reported.
  }
}

/** Values of a file of little-endian f32. */
export function readFloats(path, count) {
  const bytes = readFileSync(path);
  if (bytes.length < 4 * count)
    throw new Error(`${path} has ${bytes.length / 4} values, ${count} are needed`);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 4 * count));
}

/** Root mean square and first values, so that contenders can be compared. */
export function checkOf(values) {
  let squares = 0;
  for (const value of values) squares += value * value;
  return { rms: Math.sqrt(squares / values.length), head: [...values.subarray(0, 16)] };
}

/** Transposed copy of a matrix [rows, columns]. */
export function transpose(values, rows, columns) {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c];
  return out;
}

/** Input and weight of a product: x [rows, inner] and W [outFeatures, inFeatures]; y = x·Wᵀ, or dx = dy·W. */
export function productOf(job) {
  const { rows, outFeatures, inFeatures, direction } = job;
  const inner = direction === 'backward' ? outFeatures : inFeatures;
  return {
    rows,
    inner,
    columns: direction === 'backward' ? inFeatures : outFeatures,
    x: readFloats(job.x, rows * inner),
    weight: readFloats(job.weight, outFeatures * inFeatures),
  };
}

/** Refuses what a driver cannot do. */
export function onlyMatmul(name, job, variant) {
  if (job.kind !== 'matmul' || job.variant !== variant)
    throw new Error(`${name} has only the product "${variant}", not ${job.kind} "${job.variant ?? ''}"`);
}
