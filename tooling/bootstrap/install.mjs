// Installs the dependencies when they are missing or the lockfile has changed, through the pnpm version that
// package.json names, so that a machine with only Node and npm needs nothing else.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** pnpm as a command: the one on the PATH if it is the right version, else through npx. */
export function pnpmCommand(root) {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const version = packageManager.split('@')[1];
  const found = spawnSync('pnpm', ['--version'], { encoding: 'utf8', shell: process.platform === 'win32' });
  if (found.status === 0 && found.stdout.trim() === version) return ['pnpm'];
  return ['npx', '-y', `pnpm@${version}`];
}

/** Makes `node_modules` what the lockfile says. */
export function install(root, run) {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.lockfile-hash');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  run('install', [...pnpmCommand(root), 'install', '--frozen-lockfile', '--prefer-offline']);
  writeFileSync(stamp, lock);
}
