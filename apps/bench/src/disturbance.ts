// What other programs, and other machines on the same hardware, took of the cores while a driver ran: on Linux, where the
// system counts it. It explains times that nobody else could: threads that wait for one another in a loop suffer most.
import { readFileSync } from 'node:fs';

/** Processor time so far, in seconds. */
interface Used {
  readonly at: number;
  /** By all, and by the machine's host (`steal`). */
  readonly all: number;
  /** By the driver. */
  readonly own: number;
}

/** Clock ticks of a second in Linux' counts, the same on all common builds. */
const TICKS = 100;

/**
 * Begins to count. The function that it returns ends that and gives the cores that others took on average, or nothing
 * where the system does not count.
 */
export function watchOthers(pid: number | undefined): () => number | undefined {
  const before = used(pid);
  return () => {
    const after = used(pid);
    return before && after && othersBetween(before, after);
  };
}

/**
 * The same for work whose processor time is known when it has ended. The function that is returned takes that time in
 * seconds; what this process took itself is none of the others' either.
 */
export function watchOthersBut(): (workSeconds: number) => number | undefined {
  const before = used(process.pid);
  return (workSeconds) => {
    const after = used(process.pid);
    return before && after && othersBetween(before, { ...after, own: after.own + workSeconds });
  };
}

/** Cores that others took between two counts. */
export function othersBetween(before: Used, after: Used): number {
  const seconds = after.at - before.at;
  const others = after.all - before.all - (after.own - before.own);
  return seconds > 0 ? Math.max(0, others / seconds) : 0;
}

function used(pid: number | undefined): Used | undefined {
  if (pid === undefined || process.platform !== 'linux') return undefined;
  try {
    return {
      at: performance.now() / 1000,
      all: busyTicks(readFileSync('/proc/stat', 'utf8')) / TICKS,
      own: processTicks(readFileSync(`/proc/${pid}/stat`, 'utf8')) / TICKS,
    };
  } catch {
    return undefined; // the driver has ended, or the system hides it
  }
}

/** All cores' ticks of /proc/stat that were not idle (proc(5): the fourth and fifth number are idle and iowait). */
export function busyTicks(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (stat.split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return user + nice + system + irq + softirq + steal;
}

/** A process' ticks of /proc/PID/stat, its threads included: the 14th and 15th field, after a name in brackets. */
export function processTicks(stat: string): number {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return (fields[11] ?? 0) + (fields[12] ?? 0);
}
