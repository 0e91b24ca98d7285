// Installs the dependencies when they are missing or the lockfile has changed, through the pnpm version that
// package.json names, so that a machine with only Node and npm needs nothing else.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes `node_modules` what the lockfile says. Does nothing, and needs no network, if it is that already.
 * @param run runs a labelled command, and throws if that fails.
 */
export function install(root, run, findPnpm = pnpmOnPath) {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex');
  // The hash of the lockfile that was installed last. It lies in node_modules, to vanish with it.
  const stamp = join(root, 'node_modules', '.lockfile-hash');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;

  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [, version] = packageManager.split('@');
  const pnpm = findPnpm() === version ? ['pnpm'] : ['npx', '-y', `pnpm@${version}`];
  // Without the last flag pnpm asks before it replaces a node_modules of another make, and there may be nobody to answer.
  const flags = ['--frozen-lockfile', '--prefer-offline', '--config.confirmModulesPurge=false'];
  run('dependencies', [...pnpm, 'install', ...flags]);
  writeFileSync(stamp, lock);
}

/** Version of the pnpm on the PATH, or undefined. */
function pnpmOnPath() {
  const found = spawnSync('pnpm', ['--version'], { encoding: 'utf8', shell: process.platform === 'win32' });
  return found.status === 0 ? found.stdout.trim() : undefined;
}
