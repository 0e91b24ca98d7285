// The demo's model the whole way: fine-tuned in 4 bits, and what it predicts here held to what its files predict in llama.cpp.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasLlamaCpp } from '@qlora-tooling/llama-cpp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_MODEL_FOLDER } from '../folders';
import { qualityPage } from './page';
import { type QualityResult, referenceOf, type SubjectResult, writeQualityResult } from './result';
import { runQuality } from './run';
import { subjectOf } from './subject';
import { qualityText } from './table';
import { expectBounds } from './testing/bounds';

const work = mkdtempSync(join(tmpdir(), 'qlora-export-quality-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');

describe.skipIf(!runs)("the demo's model, fine-tuned in 4 bits", () => {
  const cases: string[] = [];
  let result: QualityResult;
  let subject: SubjectResult;
  beforeAll(async () => {
    const nothing = () => {};
    const progress = {
      ...{ say: nothing, start: nothing, step: nothing, stop: nothing },
      nextCase: (title: string) => void cases.push(title),
    };
    const short = { ...subjectOf(DEMO_MODEL_FOLDER), steps: 30 };
    result = await runQuality([short], { windows: 5, types: ['q8_0', 'q5_k_m', 'q4_k_m'] }, progress);
    subject = result.subjects[0] as SubjectResult;
  }, 120_000);

  it('has learnt', () => {
    const plain = subject.ours.find(({ weights, adapter }) => weights === 'four-bit' && adapter === 'none');
    expect(plain?.crossEntropy).toBeGreaterThan(referenceOf(subject).crossEntropy + 0.02);
  });

  it('predicts in llama.cpp what it predicts here, merged or with the adapter at run time, and nothing else does', () => {
    expectBounds(subject, { q8_0: 1e-3, q5_k_m: 1e-2, q4_k_m: 2e-2 });
  });

  it('is told on a terminal, as JSON and as a page, every file of it', async () => {
    expect(cases.length).toBe(1 + subject.gguf.length);
    const file = join(work, 'quality.json');
    await writeQualityResult(file, result);
    expect(JSON.parse(readFileSync(file, 'utf8')).subjects[0].gguf).toHaveLength(subject.gguf.length);
    const lines = qualityText(result).split('\n');
    expect(lines.filter((line) => line.includes('llama.cpp'))).toHaveLength(subject.gguf.length);
    const page = qualityPage(result);
    expect(page.split('<rect').length - 1).toBe(subject.gguf.length);
    expect(page.split('<tr>').length - 2).toBe(subject.gguf.length + subject.ours.length);
  });
});
