// From embedded bytes to a running module. The modules are compiled from the same sources whether memory is shared or not;
// what differs is one bit of the memory import, which is set here before the bytes are compiled.
import { decodeBase64 } from './base64';

/** Most pages of 64 KiB that the modules may use: all 4 GiB. */
export const MAX_PAGES = 65536;

// Limits of an imported memory: bit 0 says that there is a maximum, bit 1 that it is shared (WebAssembly threads
// proposal, binary format of memory types).
const HAS_MAXIMUM = 1;
const SHARED = 2;

/** A compiled module that imports a memory of the given kind. Synchronous: the modules are a few KB. */
export function compile(base64: string, shared: boolean): WebAssembly.Module {
  const bytes = decodeBase64(base64);
  if (shared) markShared(bytes);
  return new WebAssembly.Module(bytes);
}

/** An instance on `memory`. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): WebAssembly.Exports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports;
}

/** Sets the shared bit of the import `env.memory`. */
function markShared(bytes: Uint8Array): void {
  // The import's bytes: length and text of "env" and "memory", then kind 2 (memory), then the limits' flags.
  const pattern = [3, ...ascii('env'), 6, ...ascii('memory'), 2, HAS_MAXIMUM];
  for (let i = 0; i + pattern.length <= bytes.length; i++) {
    if (pattern.every((byte, j) => bytes[i + j] === byte)) {
      bytes[i + pattern.length - 1] = HAS_MAXIMUM | SHARED;
      return;
    }
  }
  throw new Error('the module has no import env.memory with a maximum');
}

function ascii(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}
