// A stretch of linear memory given out in pieces: first fit over the free pieces in order of address, neighbours joined when
// they are given back. The same calls give the same addresses, which is what lets a plan made without computing hold when
// the computing is done.
//
// Odd: an allocator may have no end. It then gives out addresses that stand for no memory, to find out how much is needed.

/** Buffers begin at multiples of a cache line. */
export const ALIGNMENT = 64;

/** A free piece. */
interface Piece {
  start: number;
  end: number;
}

/** Gives out pieces of [start, end). */
export class Allocator {
  readonly start: number;
  readonly end: number;
  /** Free pieces by address; none touches the next. */
  readonly #free: Piece[];
  /** Ends of the pieces that are given out, by their start. */
  readonly #used = new Map<number, number>();
  #high: number;

  constructor(start: number, end: number = Number.MAX_SAFE_INTEGER) {
    this.start = Math.ceil(start / ALIGNMENT) * ALIGNMENT;
    this.end = end;
    this.#free = [{ start: this.start, end }];
    this.#high = this.start;
  }

  /** Bytes from the start to the highest address that was ever given out. */
  get extent(): number {
    return this.#high - this.start;
  }

  /** Whether nothing is given out. */
  get isEmpty(): boolean {
    return this.#used.size === 0;
  }

  /** Address of `bytes` bytes, or undefined if no free piece is long enough. */
  allocate(bytes: number): number | undefined {
    const length = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const index = this.#free.findIndex((piece) => piece.end - piece.start >= length);
    const piece = this.#free[index];
    if (!piece) return undefined;
    const address = piece.start;
    piece.start += length;
    if (piece.start === piece.end) this.#free.splice(index, 1);
    this.#used.set(address, address + length);
    this.#high = Math.max(this.#high, address + length);
    return address;
  }

  /** Takes a piece back. */
  free(address: number): void {
    const end = this.#used.get(address);
    if (end === undefined) throw new Error(`address ${address} was not given out`);
    this.#used.delete(address);
    const free = this.#free;
    // The first free piece behind the one that comes back.
    let low = 0;
    let high = free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (free[middle]!.start < address) low = middle + 1;
      else high = middle;
    }
    const before = free[low - 1];
    const behind = free[low];
    if (before?.end === address) {
      before.end = end;
      if (behind?.start === end) {
        before.end = behind.end;
        free.splice(low, 1);
      }
    } else if (behind?.start === end) behind.start = address;
    else free.splice(low, 0, { start: address, end });
  }
}
