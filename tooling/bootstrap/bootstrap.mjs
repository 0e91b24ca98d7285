// What `npm run demo`, `npm test`, `pnpm qlora …` and `pnpm bench` do: set up if needed, then run. Plain Node, no
// dependencies, since it runs before there are any.
import { spawnSync } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';
import { test } from './test.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const [job, ...rest] = process.argv.slice(2);

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`Node ${process.versions.node} is too old: version 20 or newer is needed.`);
  process.exit(1);
}

/** Runs a step quietly; its output is shown only if it fails. Prints one line with the time. */
function quiet(label, [command, ...args]) {
  const start = performance.now();
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    shell: process.platform === 'win32',
    // turbo looks for pnpm on the PATH; the workspace has its own.
    env: {
      ...process.env,
      PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`,
      TURBO_TELEMETRY_DISABLED: '1',
      DO_NOT_TRACK: '1',
    },
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (result.status === 0) {
    console.log(`✓ ${label} (${seconds} s)`);
    return;
  }
  console.error(
    `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? `${result.error.message}\n` : ''}`,
  );
  throw new Error(`${label} failed after ${seconds} s`);
}

/** Runs a TypeScript program of the workspace on its sources, in the folder where the user stands. */
function program(path, args) {
  const loader = new URL('../../node_modules/tsx/dist/loader.mjs', import.meta.url).href;
  const result = spawnSync(
    process.execPath,
    ['--conditions=@qlora/source', '--import', loader, join(root, path), ...args],
    {
      cwd: process.env.INIT_CWD ?? process.cwd(),
      stdio: 'inherit',
      env: { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tooling/tsconfig/base.json') },
    },
  );
  process.exitCode = result.status ?? 1;
}

try {
  install(root, quiet);
  // pnpm passes a `--` on that stands between it and the arguments.
  const args = rest[0] === '--' ? rest.slice(1) : rest;
  if (job === 'demo') program('apps/demo/src/demo.ts', args);
  else if (job === 'qlora') program('apps/cli/src/main.ts', args);
  else if (job === 'bench') program('apps/bench/src/main.ts', args);
  else if (job === 'test') process.exitCode = test(root, quiet, args);
  else throw new Error(`no job named "${job}": demo, test, qlora and bench are known`);
} catch (error) {
  console.error(error.message);
  if (job === 'test') console.log('0 passed, 1 failed');
  process.exitCode = 1;
}
