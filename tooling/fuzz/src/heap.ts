// Runs a script of a package in a process of its own, so that its heap can be limited: what a reader keeps of a header that is
// made to cost must fit.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Runs a TypeScript file on the sources of the workspace, in a heap of 800 MB, and gives what it prints.
 * @throws if it fails, as it does when the heap is not enough.
 */
export function runInSmallHeap(script: URL, ...args: readonly string[]): string {
  const options = ['--max-old-space-size=800', '--conditions=@qlora/source', '--import', 'tsx'];
  return execFileSync(process.execPath, [...options, fileURLToPath(script), ...args], {
    cwd: root,
    encoding: 'utf8',
  }).trim();
}
