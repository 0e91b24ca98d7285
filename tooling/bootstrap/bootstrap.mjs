// What `npm run demo`, `npm test`, `pnpm qlora …` and `pnpm bench` do: set up if needed, then run. Plain Node with no
// dependencies, since it runs before there are any.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';
import { program, step } from './run.mjs';
import { test } from './test.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const programs = {
  demo: 'apps/demo/src/demo.ts',
  qlora: 'apps/cli/src/main.ts',
  bench: 'apps/bench/src/main.ts',
};

async function main([job, ...rest]) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new Error(`Node ${process.versions.node} is too old: install version 20 or newer (nodejs.org).`);
  }
  // pnpm and npm may hand on the `--` that stands between them and the arguments.
  const args = rest[0] === '--' ? rest.slice(1) : rest;
  if (job !== 'test' && !Object.hasOwn(programs, job ?? '')) {
    throw new Error(`No job is named "${job ?? ''}": there are test, ${Object.keys(programs).join(', ')}.`);
  }
  install(root, (label, command) => {
    // Standard output belongs to the job: `pnpm qlora … --json` is read by machines.
    console.error('installing dependencies, once …');
    step(root, label, command, console.error);
  });
  return job === 'test' ? test(root, args) : program(root, programs[job], args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  // Whoever reads the last line of `npm test` finds one, also when nothing was tested.
  if (process.argv[2] === 'test') console.log('0 passed, 1 failed');
  process.exitCode = 1;
}
