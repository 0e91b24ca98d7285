// Each instance of the module (one a thread) has scratch memory of its own, given by the host.

let base: usize = 0;

/** Bytes that each thread's scratch must have; attention on long sequences asks for more. */
export function scratchBytes(): i32 {
  return 1 << 20;
}

/** Says where this instance's scratch lies; aligned to 64 bytes. */
export function setScratch(address: usize): void {
  base = address;
}

/** Start of the scratch. */
// @ts-ignore: decorator
@inline export function scratch(): usize {
  return base;
}
