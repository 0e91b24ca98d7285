// Runs readers of QNAT in other languages on files that our writer made, and compares bit for bit with what our own reader
// makes of them: the one in Rust for Candle (packages/qnat-writer/examples/candle), and read.py beside this file where
// python3 has numpy. With --write, makes the files anew first. Exits with 1 on a difference, or if there is no cargo.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const writer = fileURLToPath(new URL('../../../packages/qnat-writer/', import.meta.url));
const goldens = `${writer}examples/candle/goldens`;

const run = (command, args, options = {}) => {
  console.log(`$ ${command} ${args.join(' ')}`);
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error) console.error(String(error));
  return status === 0;
};

let ok = true;
if (process.argv.includes('--write')) {
  const script = `
    import { mkdirSync, writeFileSync } from 'node:fs';
    import { candleGoldens } from '${writer}src/testing/candle-goldens.ts';
    mkdirSync('${goldens}', { recursive: true });
    for (const [name, bytes] of await candleGoldens()) writeFileSync('${goldens}/' + name, bytes);
  `;
  const args = ['--conditions=@qlora/source', '--import', 'tsx', '--input-type=module', '--eval', script];
  ok = run(process.execPath, args, { cwd: here });
}
ok = run('cargo', ['test', '--locked'], { cwd: `${writer}examples/candle` }) && ok;
const python = process.env.PYTHON ?? 'python3';
if (spawnSync(python, ['-c', 'import numpy']).status === 0)
  ok = run(python, [`${here}read.py`, goldens]) && ok;
else console.warn(`SKIPPED: ${python} has no numpy, so read.py was not run (set PYTHON to one that has)`);
process.exitCode = ok ? 0 : 1;
