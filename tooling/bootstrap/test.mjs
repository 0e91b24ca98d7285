// The whole check, in the order of what fails fastest to what takes longest. The test run comes last and ends with one
// plain line of counts. With CI in the environment, or --slow, the slow tests run too.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** @returns the exit code. */
export function test(root, quiet, args) {
  const slow = args.includes('--slow') || Boolean(process.env.CI);
  const bin = (name) => join(root, 'node_modules', '.bin', name);
  quiet('format and lint', [bin('biome'), 'check', '--error-on-warnings', '.']);
  quiet('layers', [process.execPath, 'tooling/layers/check.mjs']);
  quiet('build', [bin('turbo'), 'run', 'build', '--output-logs=errors-only']);
  quiet('types', [bin('turbo'), 'run', 'typecheck', '--output-logs=errors-only']);
  quiet('packages', [bin('turbo'), 'run', 'check:package', '--output-logs=errors-only']);
  const files = args.filter((arg) => arg !== '--slow');
  console.log(slow ? 'tests, the slow ones too' : 'tests (--slow runs the slow ones too)');
  const result = spawnSync(bin('vitest'), ['run', ...files], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
    env: { ...process.env, ...(slow ? { QLORA_SLOW: '1' } : {}) },
  });
  return result.status ?? 1;
}
