// The embedded modules, the hand-out of work, and processes that must end.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Compute, createCompute, grow } from './index';

const run = promisify(execFile);
const started: Compute[] = [];
const start = (options: Parameters<typeof createCompute>[0]) => {
  const compute = createCompute(options)!;
  started.push(compute);
  return compute;
};
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(started.splice(0).map((compute) => compute.dispose()));
});

it('the embedded modules are what the sources compile to', async () => {
  const compiler: { generatedFiles(): Map<string, string> } = await import(
    // Plain JavaScript, outside of src.
    String(new URL('../compile.mjs', import.meta.url))
  );
  // Not `toBe(text)`: what it prints when it fails is unreadable.
  for (const [path, text] of compiler.generatedFiles())
    expect(readFileSync(path, 'utf8') === text, `${path}: run npm run compile`).toBe(true);
}, 60_000);

describe('a job', () => {
  it('is done once for every unit, whoever takes it', async () => {
    const compute = start({ threads: 4 });
    await compute.ready();
    const count = 100_000;
    const address = compute.heapBase;
    grow(compute.memory, address + 4 * count);
    const values = new Float32Array(compute.memory.buffer, address, count);
    values.fill(1);
    for (let round = 0; round < 200; round++) compute.run('addInto', [address, address, 0.5], count, 501);
    // Each round multiplies by 1.5: a unit done twice or not at all would stand out.
    expect(new Set(values).size).toBe(1);
  });

  it('that fails in any thread is an error, and the next one works', async () => {
    const compute = start({ threads: 2 });
    await compute.ready();
    const beyond = compute.memory.buffer.byteLength + 65536;
    expect(() => compute.run('fill', [beyond, 1], 1 << 20, 1024)).toThrow();
    const address = compute.heapBase;
    grow(compute.memory, address + 64);
    compute.run('fill', [address, 7], 16, 1);
    expect([...new Float32Array(compute.memory.buffer, address, 16)]).toEqual(Array(16).fill(7));
  });

  it('that fails in a worker says what failed there', async () => {
    const compute = start({ threads: 2 });
    await compute.ready();
    // Two parts, of which the second does not fit: this thread is busy with the first, so a worker takes the second.
    const part = 1 << 22;
    grow(compute.memory, compute.heapBase + 4 * part);
    const target = compute.memory.buffer.byteLength - 4 * part;
    let message = '';
    for (let round = 0; round < 200 && !message.includes('in a worker'); round++) {
      try {
        compute.run('fill', [target, 1], 2 * part, part);
      } catch (error) {
        message = (error as Error).message;
      }
    }
    expect(message).toMatch(
      /^kernel fill failed in a worker: RuntimeError: .*bounds.*, memory of \d+ bytes$/,
    );
  });

  it('of no units does nothing', () => {
    start({ threads: 1 }).run('fill', [0, 1], 0, 1);
  });
});

describe('threads', () => {
  it('are as many as asked for, by option or by QLORA_THREADS', () => {
    vi.stubEnv('QLORA_THREADS', '3');
    expect(start({}).threads).toBe(3);
    expect(start({ threads: 2 }).threads).toBe(2);
  });

  it.each(['0', 'two', '-1', '1.5', '1000'])('QLORA_THREADS=%s is refused', (text) => {
    vi.stubEnv('QLORA_THREADS', text);
    expect(() => createCompute()).toThrow(new RegExp(`QLORA_THREADS is ${text}.*from 1 to 256`));
  });

  it('are one, with a notice, where memory cannot be shared', async () => {
    const told: string[] = [];
    vi.resetModules();
    vi.stubGlobal('SharedArrayBuffer', undefined);
    const fresh = await import('./index');
    const compute = fresh.createCompute({ threads: 2, onNotice: (message) => told.push(message) });
    vi.unstubAllGlobals();
    expect(compute?.threads).toBe(1);
    expect(told.join()).toMatch(/one thread.*Cross-Origin-Opener-Policy/);
  });

  it('do not keep a process alive, awake or asleep', async () => {
    const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const index = fileURLToPath(new URL('./index.ts', import.meta.url));
    const program = `import(${JSON.stringify(pathToFileURL(index).href)}).then(async ({ createCompute, grow }) => {
      const compute = createCompute({ threads: 3 });
      await compute.ready();
      grow(compute.memory, compute.heapBase + (1 << 20));
      compute.run('fill', [compute.heapBase, 1], 1 << 18, 1024);
      console.log('done');
    });`;
    const { stdout } = await run(process.execPath, ['--import', loader, '-e', program], { timeout: 20_000 });
    expect(stdout).toBe('done\n');
  }, 30_000);
});
