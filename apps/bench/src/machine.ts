// What the benchmark runs on.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { BENCH_FOLDER } from './folders';
import type { Machine } from './result';

/** Instructions that native contenders take different ways for. */
const TELLING = ['avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'asimd', 'bf16', 'i8mm'];

/** The machine as it is before a run; `after` of the load is filled in later. */
export function describeMachine(): Machine {
  const load = loadNow();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: process.platform,
    arch: process.arch,
    instructions: instructions(),
    node: process.versions.node,
    v8: process.versions.v8,
    commit: commit(),
    load: { before: load, after: load },
  };
}

/** Processes that wanted to run in the last minute; 0 on Windows, which does not say. */
export const loadNow = () => loadavg()[0] ?? 0;

function instructions(): string[] {
  try {
    const info = readFileSync('/proc/cpuinfo', 'utf8');
    const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' '));
    return TELLING.filter((name) => flags.has(name));
  } catch {
    return [];
  }
}

function commit(): string | null {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: BENCH_FOLDER, encoding: 'utf8' });
  const head = git('rev-parse', '--short', 'HEAD');
  if (head.status !== 0) return null;
  return head.stdout.trim() + (git('status', '--porcelain').stdout?.trim() ? '+' : '');
}
