// Finding and starting a Chromium that is installed already.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:/Program Files/Google/Chrome/Application/chrome.exe',
];

/** The Chromium of this machine, or undefined where there is none. */
export function findChromium(): string | undefined {
  const named = process.env.QLORA_CHROMIUM;
  if (named === undefined || named === '') return PLACES.find((place) => existsSync(place));
  if (!existsSync(named)) throw new Error(`QLORA_CHROMIUM names ${named}, which does not exist.`);
  return named;
}

/** Starts it without a window and without anything that calls home. */
export function startChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      // Containers have no user namespaces for the sandbox; the pages are our own.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
