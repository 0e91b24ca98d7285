// The kernels in headless Chromium compute the bytes that they compute in Node, on one thread and on two.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium, startChromium } from './chromium';
import { type Report, report } from './report';
import { serve } from './site';

const executable = findChromium();
if (!executable) console.log('skipped: no Chromium was found; QLORA_CHROMIUM can name one');

describe.skipIf(!executable)('in Chromium', () => {
  let browser: Browser;
  let node: Report;
  beforeAll(async () => {
    [browser, node] = await Promise.all([startChromium(executable as string), report(2)]);
  }, 60_000);
  afterAll(() => browser?.close());

  /** What the page reports, served with or without cross-origin isolation. */
  async function pageReport(isolated: boolean): Promise<Report> {
    const site = await serve('./page.ts', { isolated });
    try {
      const page = await browser.newPage();
      await page.goto(site.url);
      await page.waitForFunction(() => window.report ?? window.failure, undefined, { timeout: 50_000 });
      expect(await page.evaluate(() => window.failure)).toBeUndefined();
      return (await page.evaluate(() => window.report)) as Report;
    } finally {
      await site.close();
    }
  }

  it('an isolated page computes on two threads', async () => {
    const page = await pageReport(true);
    expect(page.features).toEqual({ simd: true, relaxed: true, threads: true });
    expect(page.notices).toEqual([]);
    expect(page).toEqual(node);
  }, 60_000);

  it('a page that is not isolated computes the same on one thread, and says so once', async () => {
    const page = await pageReport(false);
    expect(page.features.threads).toBe(false);
    expect(page.notices).toEqual([expect.stringMatching(/one thread.*Cross-Origin-Opener-Policy/)]);
    expect(page.builds.map(({ threads }) => threads)).toEqual([1, 1]);
    const bytes = ({ builds, codec }: Report) => [...builds.map((build) => build.fingerprint), codec];
    expect(bytes(page)).toEqual(bytes(node));
  }, 60_000);
});
