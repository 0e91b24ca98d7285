// What this JavaScript engine can run. Nothing is assumed from version numbers: the modules themselves are validated.
//
// Odd: V8 of Node 20 has relaxed SIMD behind a flag. It is switched on here, before the first use, because the fused
// multiply-add is worth half as much speed again; where that is not possible the plain build is used.

import { decodeBase64 } from './base64';
import { codecSimd } from './generated/codec-simd';
import { computeRelaxed } from './generated/compute-relaxed';
import { builtin } from './node-builtin';

/** What can be used here. */
export interface Features {
  /** 128-bit SIMD (every browser since 2023, Node since 16). */
  readonly simd: boolean;
  /** Relaxed SIMD: fused multiply-add. */
  readonly relaxed: boolean;
  /** Memory shared with workers. In browsers it needs cross-origin isolation (COOP and COEP headers). */
  readonly threads: boolean;
}

let known: Features | undefined;

/** What this engine can run; found out once. */
export function features(): Features {
  known ??= { simd: validates(codecSimd), relaxed: hasRelaxed(), threads: hasThreads() };
  return known;
}

function validates(base64: string): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(decodeBase64(base64));
}

function hasRelaxed(): boolean {
  if (validates(computeRelaxed)) return true;
  try {
    builtin('node:v8')?.setFlagsFromString('--experimental-wasm-relaxed-simd');
  } catch {
    return false;
  }
  return validates(computeRelaxed);
}

function hasThreads(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  if (builtin('node:worker_threads')) return true;
  const { crossOriginIsolated, Worker } = globalThis as { crossOriginIsolated?: boolean; Worker?: unknown };
  return crossOriginIsolated === true && typeof Worker === 'function';
}
