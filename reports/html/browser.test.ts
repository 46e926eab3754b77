/**
 * The report as a person has it: opened from the disk in a real browser without a network. Passes over with a
 * printed reason where there is no Chromium.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import { hostile, sampleComparison } from '../testing.ts';
import { renderHtml } from './page.ts';

const CHROMIUM = [process.env.CHROMIUM ?? '', '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  (path) => path !== '' && existsSync(path),
);
if (CHROMIUM === undefined) console.log('browser tests: no Chromium here (set CHROMIUM to its path)');

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

describe.runIf(CHROMIUM !== undefined)('the report in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'faultline-report-'));
  const plain = join(folder, 'report.html');
  const evil = join(folder, 'evil.html');
  let browser: Browser;
  /** Whatever a page asked for or complained of; has to stay empty. */
  let complaints: string[] = [];

  beforeAll(async () => {
    const full = { cost: LINUX_61_NPT, timing: true, broken: true };
    writeFileSync(
      plain,
      await renderHtml(
        await sampleComparison({
          ...full,
          scenarios: ['rom-read', 'rom-read-cold', 'rom-write', 'rom-write-cold'],
        }),
      ),
    );
    writeFileSync(
      evil,
      await renderHtml(hostile(await sampleComparison({ ...full, scenarios: ['rom-write', 'rom-read'] }))),
    );
    browser = await chromium.launch({
      ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }),
      args: ARGS,
    });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(path: string, options: BrowserContextOptions = {}, hash = ''): Promise<Page> {
    complaints = [];
    const context = await browser.newContext({ offline: true, ...options });
    const page = await context.newPage();
    page.on('console', (m) => complaints.push(`${m.type()}: ${m.text()}`));
    page.on('pageerror', (e) => complaints.push(e.message));
    page.on('dialog', (d) => {
      complaints.push(`dialog ${d.message()}`);
      void d.dismiss();
    });
    page.on('request', (r) => {
      if (r.url().split('#')[0] !== pathToFileURL(path).href) complaints.push(`request ${r.url()}`);
    });
    await page.goto(pathToFileURL(path).href + hash);
    return page;
  }

  test('sorts a table by a number, up and down, by mouse and by keyboard', async () => {
    const page = await open(plain);
    const table = page.locator('#counts table').first();
    const column = async (): Promise<number[]> =>
      (await table.locator('tbody tr td:last-child').allInnerTexts()).map((t) =>
        Number(t.replaceAll(',', '')),
      );
    const head = table.locator('thead th').last();
    await head.locator('button').click();
    const up = await column();
    expect(up).toEqual(up.toSorted((a, b) => a - b));
    await head.locator('button').press('Enter');
    expect(await column()).toEqual(up.toSorted((a, b) => b - a));
    expect(await head.getAttribute('aria-sort')).toBe('descending');
    expect(complaints).toEqual([]);
  });

  test('a permalink opens its cell, and a cell of the matrix leads to it', async () => {
    const linked = await open(plain, {}, '#rom-write/coexist');
    expect(await linked.locator('[id="rom-write/coexist"] .life').first().isVisible()).toBe(true);
    const page = await open(plain);
    const cell = page.locator('[id="rom-read-cold/mmap-prot-read"]');
    expect(await cell.isVisible()).toBe(false);
    await page.locator('.matrix a[href="#rom-read-cold/mmap-prot-read"]').click();
    await cell.locator('.life').first().waitFor({ state: 'visible' });
    expect(await cell.innerText()).toContain('kvm_handle_error_pfn()');
    expect(await cell.locator('pre').first().innerText()).toContain(
      'compare explain --scenario rom-read-cold',
    );
    expect(complaints).toEqual([]);
  });

  test('arrow keys move in the matrix, the filter hides what it does not name', async () => {
    const page = await open(plain);
    await page.locator('.matrix td a').first().focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowRight');
    expect(await page.evaluate('document.activeElement.getAttribute("href")')).toBe(
      '#rom-read-cold/shm-multi-map',
    );
    await page.keyboard.press('/');
    await page.keyboard.type('rom-write coexist');
    expect(await page.locator('#counts tbody tr:visible').count()).toBe(2);
    await page.keyboard.press('Escape');
    expect(await page.locator('#counts tbody tr:visible').count()).toBe(48);
    expect(complaints).toEqual([]);
  });

  test('dark follows the system, and the button turns it round', async () => {
    const page = await open(plain, { colorScheme: 'dark' });
    const background = (): Promise<string> =>
      page.evaluate('getComputedStyle(document.body).backgroundColor');
    const dark = await background();
    await page.locator('#theme').click();
    expect(await background()).toBe('rgb(255, 255, 255)');
    expect(dark).not.toBe('rgb(255, 255, 255)');
    expect(complaints).toEqual([]);
  });

  test('without JavaScript everything can be read', async () => {
    const page = await open(plain, { javaScriptEnabled: false });
    expect(await page.locator('.matrix td').count()).toBeGreaterThan(48);
    expect(await page.locator('figure svg').first().isVisible()).toBe(true);
    expect(await page.locator('#filter').isVisible()).toBe(false);
    await page.locator('#cells summary').first().click();
    expect(await page.locator('#cells .life').first().isVisible()).toBe(true);
    expect(complaints).toEqual([]);
  });

  test('a phone shows it without scrolling the page sideways', async () => {
    for (const path of [plain, evil]) {
      const page = await open(path, { viewport: { width: 390, height: 844 } });
      for (const d of await page.locator('#cells details').all())
        await d.evaluate((e) => e.setAttribute('open', ''));
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    }
  });

  test('hostile words run nothing and ask for nothing', async () => {
    const page = await open(evil);
    await page.locator('#open').click();
    await page.locator('th button').first().click();
    expect(await page.locator('img, svg[onload]').count()).toBe(0);
    expect(complaints).toEqual([]);
  });
});
