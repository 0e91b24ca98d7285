// The protocol between the harness and a driver: one JSON object a line in, one out, strictly in turn. peers/README.md
// has it in words, for whoever writes a driver in another language.
import { z } from 'zod';
import type { Job } from './job';

/** What a driver is asked. */
export type Request =
  | { readonly do: 'describe' }
  /** Sets a job up and runs it to warm up. */
  | { readonly do: 'prepare'; readonly job: Job }
  /** Runs it `times` times, each timed by the driver itself. */
  | { readonly do: 'run'; readonly handle: number; readonly times: number }
  | { readonly do: 'release'; readonly handle: number }
  | { readonly do: 'stop' };

const check = z.object({ rms: z.number(), head: z.array(z.number()) });

/** What it answers, by what it was asked. */
export const answers = {
  describe: z.object({
    /** Versions of what is measured, by name. */
    versions: z.record(z.string(), z.string()),
    /** Threads that it computes with. */
    threads: z.number().nullish(),
    /** What a reader should know of how it computes: instructions, flags. */
    note: z.string().nullish(),
  }),
  prepare: z.object({
    handle: z.number(),
    /** What the job gave, so that contenders can be compared; absent where there is nothing to compare. */
    check: check.nullish(),
  }),
  run: z.object({ ms: z.array(z.number().nonnegative()).min(1) }),
  release: z.object({
    /** Peaks of memory in bytes, by what holds it: `process`, since it started; `steps`, since the job was set up. */
    memory: z.record(z.string(), z.number()),
  }),
};

/** Root mean square and first values of a result. */
export type Check = z.infer<typeof check>;

/** What {@link answers} holds, as types. */
export type Answer<A extends keyof typeof answers> = z.infer<(typeof answers)[A]>;

const failure = z.object({ ok: z.literal(false), error: z.string() });

/**
 * Reads a line as the answer to what was asked.
 * @throws Error with the driver's own words if it failed, or with what is wrong with the line.
 */
export function parseAnswer<A extends keyof typeof answers>(asked: A, line: string): Answer<A> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new Error(`the driver answered "${line.slice(0, 200)}", which is no JSON`);
  }
  const failed = failure.safeParse(json);
  if (failed.success) throw new Error(failed.data.error);
  const parsed = answers[asked].safeParse(json);
  if (parsed.success) return parsed.data as Answer<A>;
  const issue = parsed.error.issues[0];
  throw new Error(
    `the driver's answer to "${asked}" is wrong at ${issue?.path.join('.')}: ${issue?.message}`,
  );
}
