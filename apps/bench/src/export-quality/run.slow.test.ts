// The same in every type, and on other models where they are there: the wide one, whose rows take K-quants, and stories260K.
import { existsSync } from 'node:fs';
import { hasLlamaCpp } from '@qlora-tooling/llama-cpp';
import { describe, expect, it } from 'vitest';
import type { SubjectResult } from './result';
import { runQuality } from './run';
import { defaultSubjects, WIDE_MODEL } from './subject';
import { expectBounds, type TypeBounds } from './testing/bounds';
import { QUALITY_TYPES } from './variants';

/** Most divergence in nats a token. */
const bounds: Readonly<Record<string, TypeBounds>> = {
  wide: {
    bf16: 5e-5,
    q8_0: 3e-4,
    q6_k: 2e-3,
    q5_k_m: 4e-3,
    q4_k_m: 1e-2,
    q4_0: 2e-2,
    iq4_nl: 1.5e-2,
    iq4_xs: 1.5e-2,
  },
  demo: {
    bf16: 1e-4,
    q8_0: 1e-3,
    q6_k: 2e-3,
    q5_k_m: 1e-2,
    q4_k_m: 2e-2,
    q4_0: 6e-2,
    iq4_nl: 3e-2,
    iq4_xs: 3e-2,
  },
  stories260K: {
    bf16: 3e-4,
    q8_0: 3e-3,
    q6_k: 3e-3,
    q5_k_m: 4e-2,
    q4_k_m: 5e-2,
    q4_0: 0.2,
    iq4_nl: 0.15,
    iq4_xs: 0.15,
  },
};

const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');
const present = defaultSubjects(console.warn).filter(({ folder }) => existsSync(folder));
if (!existsSync(WIDE_MODEL))
  console.warn(
    `the wide model is left out: ${WIDE_MODEL} is not there; npm run bench -- export-quality makes it`,
  );

describe.skipIf(!runs)('exported in every way', () => {
  const quiet = { say: () => {}, start: () => {}, nextCase: () => {}, step: () => {}, stop: () => {} };

  it.each(present)(
    '$name predicts in llama.cpp what it predicts here',
    { timeout: 1_200_000 },
    async (subject) => {
      const { subjects } = await runQuality([subject], { windows: 10, types: QUALITY_TYPES }, quiet);
      expectBounds(subjects[0] as SubjectResult, bounds[subject.name] as TypeBounds);
      expect(subjects[0]?.gguf.some(({ fallbacks }) => fallbacks > 0)).toBe(subject.folder !== WIDE_MODEL);
    },
  );
});
