// One test run for the whole repository, on sources (export condition `@qlora/source`), with no build.
// QLORA_SLOW=1 adds the `*.slow.test.ts` files.
import { readdirSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const slow = process.env.QLORA_SLOW === '1';
const conditions = ['@qlora/source', 'node', 'import', 'module', 'default'];
const projects = ['packages', 'apps', 'tooling'].flatMap((group) =>
  readdirSync(new URL(group, import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => ({
      resolve: { conditions },
      ssr: { resolve: { conditions } },
      test: {
        name: entry.name,
        root: `${group}/${entry.name}`,
        include: ['**/*.test.ts'],
        exclude: ['**/node_modules/**', '**/dist/**', ...(slow ? [] : ['**/*.slow.test.ts'])],
        testTimeout: slow ? 600_000 : 30_000,
      },
    })),
);

export default defineConfig({
  test: {
    projects,
    passWithNoTests: true,
    reporters: ['default', './tooling/vitest/count-reporter.ts'],
  },
});
