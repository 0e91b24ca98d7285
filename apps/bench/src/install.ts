// Installing peers: the commands of a bundle, with their output shown.
import { spawnSync } from 'node:child_process';
import { QloraError } from '@qlora/tensor';
import { type Bundle, installations } from './peers';

/** Installs a bundle. @throws QloraError naming the command that failed. */
export function install(bundle: Bundle): void {
  const { title, cwd, commands } = installations[bundle];
  console.log(`installing ${bundle}: ${title}`);
  for (const [program, ...args] of commands) {
    const { status, error } = spawnSync(program, args, {
      cwd,
      stdio: 'inherit',
      // npm is a .cmd file on Windows, which only a shell starts.
      shell: process.platform === 'win32',
    });
    if (status !== 0)
      throw new QloraError({
        what: `"${[program, ...args].join(' ')}" failed${error ? `: ${error.message}` : ` with exit code ${status}`}`,
        where: cwd,
        fix: 'see its output above',
      });
  }
}
