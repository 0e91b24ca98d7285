// Compiles the AssemblyScript sources to WebAssembly and embeds the bytes, as base64, in TypeScript modules under
// src/generated: no file to locate and nothing to fetch at run time, whatever bundles the package. What it writes is
// committed; a test compiles again and compares. `npm run compile` in this folder; `node compile.mjs codec` for one module.
//
// Odd: the modules import a memory that is not shared. The loader sets the one bit that makes it shared, which spares a
// second copy of each (see src/instantiate.ts).
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));

/** The modules: file and constant, source, and whether the processor must know more than SIMD. */
const MODULES = [
  { name: 'codec-simd', source: 'assembly/codec/index.ts', relaxed: false },
  { name: 'ggml-simd', source: 'assembly/ggml/index.ts', relaxed: false },
  { name: 'compute-simd', source: 'assembly/compute/index.ts', relaxed: false },
  { name: 'compute-relaxed', source: 'assembly/compute/index.ts', relaxed: true },
];

/** Bytes of one module. Throws what the compiler says if it does not compile. */
function compileModule({ source, relaxed }) {
  const place = mkdtempSync(join(tmpdir(), 'qlora-kernels-'));
  try {
    const file = join(place, 'out.wasm');
    const options = [
      ...['--runtime', 'stub', '--noAssert', '-O3', '--converge'],
      ...['--importMemory', '--noExportMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
      // Addresses and counts mix everywhere here; 32-bit addresses are meant.
      ...['--memoryBase', '1024', '--disableWarning', '201'],
      ...['--enable', 'simd', ...(relaxed ? ['--enable', 'relaxed-simd'] : [])],
    ];
    const asc = join(folder, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
    // Piped: what the compiler remarks on its way is no news; what it cannot compile is in the error.
    execFileSync(process.execPath, [asc, source, ...options, '--outFile', file], {
      cwd: folder,
      stdio: 'pipe',
    });
    return readFileSync(file);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** What each generated file must hold, by its path; only of modules whose name begins with `filter`. */
export function generatedFiles(filter = '') {
  return new Map(
    MODULES.filter(({ name }) => name.startsWith(filter)).map((module) => {
      const bytes = compileModule(module);
      const constant = module.name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
      const text = `// Made by compile.mjs of ${module.source}: ${bytes.length} bytes of WebAssembly. Do not edit.
export const ${constant} =
  '${bytes.toString('base64')}';
`;
      return [join(folder, 'src', 'generated', `${module.name}.ts`), text];
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of generatedFiles(process.argv[2])) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`${path}: ${text.match(/(\d+) bytes/)?.[1]} bytes of WebAssembly`);
  }
}
