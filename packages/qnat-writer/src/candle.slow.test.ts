// The reader for Candle, run: where cargo is and its crates are there already. Elsewhere it is skipped with a message.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const cwd = fileURLToPath(new URL('../examples/candle/', import.meta.url));
// Of this machine's target; what fetching and metadata ask for is the crates of all.
const hasCrates =
  spawnSync('cargo', ['tree', '--locked', '--offline'], { cwd, stdio: 'ignore' }).status === 0;
if (!hasCrates)
  console.warn(
    'SKIPPED: the reader for Candle is not run: there is no cargo, or its crates are not (cargo fetch fetches them)',
  );

it.skipIf(!hasCrates)('the reader for Candle passes its own tests', { timeout: 600_000 }, () => {
  const target = process.env.CARGO_TARGET_DIR ?? mkdtempSync(join(tmpdir(), 'qnat-candle-'));
  try {
    const output = execFileSync('cargo', ['test', '--locked', '--offline'], {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, CARGO_TARGET_DIR: target },
    });
    expect(output).toMatch(/every_tensor_of_every_golden\w* \.\.\. ok/);
  } finally {
    if (process.env.CARGO_TARGET_DIR === undefined) rmSync(target, { recursive: true, force: true });
  }
});
