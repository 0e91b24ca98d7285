// `npm test`: the whole check. First what every commit must pass, each a line with its time, then one test run. The
// last line is `N passed, N failed[, N skipped]`, whatever happens.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, step, withTerminal } from './run.mjs';

/** Whether the slow tests run too: asked for, or on a CI machine. */
export function isSlow(args, env) {
  return args.includes('--slow') || !['', '0', 'false', undefined].includes(env.CI);
}

/** The last line of a run. A run that failed without a failed test (an unhandled error, a crash) counts as one failure. */
export function lastLine({ passed, failed, skipped }, exitCode) {
  const failures = failed === 0 && exitCode !== 0 ? 1 : failed;
  return `${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/**
 * @param args `--slow`, and what vitest is to run, if not everything.
 * @returns the exit code.
 */
export async function test(root, args) {
  // The tools' own JavaScript, not the scripts in node_modules/.bin: those need a shell on Windows.
  const tool = (path, ...rest) => [process.execPath, join(root, 'node_modules', path), ...rest];
  const turbo = (task) =>
    tool('turbo/bin/turbo', 'run', task, '--output-logs=errors-only', '--cache=local:rw', '--no-color');
  step(root, 'format and lint', tool('@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'));
  step(root, 'layers', [process.execPath, 'tooling/layers/check.mjs']);
  step(root, 'build', turbo('build'));
  step(root, 'types', turbo('typecheck'));
  step(root, 'packages', turbo('check:package'));

  const slow = isSlow(args, process.env);
  console.log(slow ? 'tests, the slow ones too' : 'tests (the slow ones: npm test -- --slow)');
  const folder = mkdtempSync(join(tmpdir(), 'qlora-test-'));
  try {
    const counts = join(folder, 'counts.json');
    const [command, ...rest] = tool('vitest/vitest.mjs', 'run', ...args.filter((arg) => arg !== '--slow'));
    const extra = { QLORA_TEST_COUNTS: counts, ...(slow ? { QLORA_SLOW: '1' } : {}) };
    const code = await withTerminal(command, rest, { cwd: root, env: environment(root, extra) });
    console.log(lastLine(readCounts(counts), code));
    return code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What tooling/vitest/count-reporter.ts wrote; nothing if vitest did not come that far. */
function readCounts(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}
