// So much at a time, what was begun first going first: work on tensors of which each comes in parts, and twice, is then done
// with one before it goes far into the next, and little is kept of tensors that are half done.

/** Runs a body when there is a slot for it. Of those that wait, the one with the lowest order goes first. */
export type Slots = <T>(order: number, body: () => Promise<T>) => Promise<T>;

/**
 * So many slots. After the first failure, or when the signal is given, no further body is begun: its promise rejects with that
 * error, or the signal's reason.
 */
export function prioritySlots(count: number, signal?: AbortSignal): Slots {
  const waiting: { order: number; begin: () => void }[] = [];
  let free = Math.max(1, count);
  let failure: { error: unknown } | undefined;
  const next = () => {
    if (free === 0 || waiting.length === 0) return;
    let best = 0;
    for (let i = 1; i < waiting.length; i++) if (waiting[i]!.order < waiting[best]!.order) best = i;
    free--;
    waiting.splice(best, 1)[0]?.begin();
  };
  return async (order, body) => {
    await new Promise<void>((begin) => {
      waiting.push({ order, begin });
      next();
    });
    try {
      if (failure) throw failure.error;
      signal?.throwIfAborted();
      return await body();
    } catch (error) {
      failure ??= { error };
      throw error;
    } finally {
      free++;
      next();
    }
  };
}

/** All results in their order, when every promise is settled; if some were rejected, throws the error of the first of those. */
export async function allSettled<T>(promises: Iterable<Promise<T>>): Promise<T[]> {
  return (await Promise.allSettled(promises)).map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
