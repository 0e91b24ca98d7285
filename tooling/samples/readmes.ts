// The READMEs of the repository, and the TypeScript in them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A README. */
export interface Readme {
  /** Its place, from the root. */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  /** Name of the package that it belongs to. */
  readonly packageName: string;
  /** Whether that package is never published. */
  readonly isPrivate: boolean;
}

/** A block of TypeScript. */
export interface Sample {
  readonly code: string;
  /** What lines of output must be: the texts behind `// →`. */
  readonly outputs: readonly string[];
}

/** Folders with a package.json that must have a README: the root, packages and apps. */
export function packageFolders(): string[] {
  const members = ['packages', 'apps'].flatMap((group) =>
    readdirSync(join(root, group)).map((name) => join(root, group, name)),
  );
  return [root, ...members].filter((folder) => existsSync(join(folder, 'package.json')));
}

/** All of them that are there. */
export function readmes(): Readme[] {
  return packageFolders()
    .filter((folder) => existsSync(join(folder, 'README.md')))
    .map((folder) => {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name: string;
        private?: boolean;
      };
      return {
        path: relative(root, join(folder, 'README.md')),
        folder,
        text: readFileSync(join(folder, 'README.md'), 'utf8'),
        packageName: manifest.name,
        isPrivate: manifest.private === true,
      };
    });
}

/** The blocks that begin with ```ts. */
export function samples({ text }: Readme): Sample[] {
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => ({
    code,
    outputs: [...code.matchAll(/\/\/ → ?(.*)$/gm)].map(([, output = '']) => output.trim()),
  }));
}

/** Targets of links to files of the repository. */
export function fileLinks({ text }: Readme): string[] {
  return [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, target = '']) => target);
}
