// The block at the start of a shared memory through which a job is handed to the workers. Slots are 32-bit integers,
// arguments are doubles (every argument of a kernel is a number that a double holds exactly).
//
// A job is open from the moment its arguments are complete until the thread that gave it has run out of parts. A worker
// that comes late counts itself in, sees that the job is closed, and leaves; the giver waits until nobody is counted in.
// So a worker never reads arguments that are being written.

/** Slots of the control block. */
export const SLOT = {
  /** Counts jobs; workers sleep on it. */
  job: 0,
  /** 1 while the job can be joined. */
  open: 1,
  /** Next part to be taken. */
  next: 2,
  /** Units of the job in all. */
  units: 3,
  /** Units in a part. */
  grain: 4,
  /** Workers inside the job. */
  inside: 5,
  /** Index of the kernel. */
  kernel: 6,
  /** Number of arguments. */
  count: 7,
  /** Workers asleep. */
  asleep: 8,
  /** Workers that are up. */
  ready: 9,
  /** 1 when workers are to end. */
  stop: 10,
  /** 1 when a kernel failed in a worker. */
  failed: 11,
} as const;

/** Bytes from the start of the memory to the arguments. */
export const ARGUMENTS_AT = 64;
/** Most arguments of a kernel, `begin` and `end` not counted. */
export const MAX_ARGUMENTS = 48;
/** Where a worker writes what failed: a byte for each character, and a zero at the end. */
export const FAILURE_AT = ARGUMENTS_AT + 8 * MAX_ARGUMENTS;
/** Bytes that the control block takes: what is below is not used by the modules (--memoryBase). */
export const CONTROL_BYTES = 1024;

/** How often a thread looks before it goes to sleep: some 70 µs on the machine of apps/bench/results, so that a
 * worker is awake between the operations of a step and asleep between steps of anything else. */
export const SPINS = 10000;
