// A site of one page on this machine, with its script bundled as a user's bundler would.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** A site that is being served. */
export interface Site {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves a page that runs `script` (a TypeScript file beside this one). */
export async function serve(script: string, options: { isolated: boolean }): Promise<Site> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(script, import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['@qlora/source'],
  });
  const code = outputFiles[0]?.text ?? '';
  // What makes a page cross-origin isolated, so that memory may be shared with its workers.
  const isolation = {
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  };
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.writeHead(200, {
      'Content-Type': isScript ? 'text/javascript' : 'text/html; charset=utf-8',
      ...(options.isolated ? isolation : {}),
    });
    response.end(
      isScript ? code : '<!doctype html><title>qlora</title><script type="module" src="/page.js"></script>',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
