// What a page and Node both compute, to be compared: the operations of the backend and a codec.
import { type CreatedBackend, createBackend, createReferenceBackend } from '@qlora/backend';
import { compareBackends, fingerprint } from '@qlora/backend/testing';
import { features } from '@qlora/kernels';
import { dequantizeNf4, quantizeNf4 } from '@qlora/nf4';

/** One build's results. */
export interface BuildReport {
  readonly description: string;
  readonly threads: number;
  /** Hash of all outputs of all operations. */
  readonly fingerprint: string;
  /** Operations that were held to the reference. */
  readonly operations: number;
}

/** All that is compared. */
export interface Report {
  readonly features: { readonly simd: boolean; readonly relaxed: boolean; readonly threads: boolean };
  readonly notices: readonly string[];
  readonly builds: readonly BuildReport[];
  /** Bytes of an NF4 round trip, summed up. */
  readonly codec: string;
}

/** Computes everything here, on `threads` threads where memory can be shared. */
export async function report(threads: number): Promise<Report> {
  const notices: string[] = [];
  const builds: BuildReport[] = [];
  for (const build of ['simd', 'relaxed'] as const) {
    const backend = createBackend({
      backend: 'wasm',
      build,
      threads,
      onNotice: (message) => notices.push(message),
    });
    builds.push(await reportOf(backend));
  }
  return { features: features(), notices, builds, codec: codecReport() };
}

async function reportOf(backend: CreatedBackend): Promise<BuildReport> {
  await backend.ready();
  const { description, threads } = backend;
  try {
    const reference = createReferenceBackend({ precision: 'f64' });
    const compared = await compareBackends(backend, reference, { rounds: 4 });
    return { description, threads, fingerprint: await fingerprint(backend), operations: compared.length };
  } finally {
    await backend.dispose();
  }
}

/** Values of all sizes, large enough that the kernels take them, through NF4 and back. */
function codecReport(): string {
  const values = Float32Array.from({ length: 1 << 18 }, (_, i) => ((i * 7919) % 65537) / 65537 - 0.4);
  const quantized = quantizeNf4(values);
  const back = dequantizeNf4(quantized, values.length);
  let hash = 0x811c9dc5;
  for (const byte of quantized.codes) hash = Math.imul(hash ^ byte, 0x01000193);
  for (const word of new Uint32Array(back.buffer)) hash = Math.imul(hash ^ word, 0x01000193);
  return (hash >>> 0).toString(16);
}
