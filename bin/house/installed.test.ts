/** The program as it is installed: built, run as a process from another folder, into pipes that close. */
import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Built apart from `dist`, so that a test never runs what somebody built yesterday; packages are found upwards. */
const BUILD = join(ROOT, 'node_modules/.faultline-test');
const PROGRAM = join(BUILD, 'dist/bin/compare.js');

let folder: string;
beforeAll(async () => {
  await mkdir(BUILD, { recursive: true });
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are `npm run check`'s business; what matters here is that something was built.
  await execute(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(BUILD, 'dist')]);
  const finished = await execute(process.execPath, ['bin/finish-build.mjs', join(BUILD, 'dist/')]);
  expect(finished.err).toBe('');
  await copyFile(join(ROOT, 'package.json'), join(BUILD, 'package.json'));
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(BUILD, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function execute(file: string, args: readonly string[], cwd = ROOT): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd, maxBuffer: 2 ** 28 }, (_error, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });
}

const compare = (...args: string[]): Promise<Ended> => execute(process.execPath, [PROGRAM, ...args], folder);

describe('from another folder', () => {
  test('help, version and a name that is not there', async () => {
    expect((await compare('--help')).out).toContain('--scenario');
    expect((await compare('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { code, out, err } = await compare('--scenario', 'nowhere');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^compare: no scenario is called 'nowhere'.*\n$/);
  });

  test('a comparison, twice the same to the last byte', async () => {
    const args = ['--scenario', 'rom-write', '--no-timing', '--format', 'json'];
    const [a, b] = [await compare(...args), await compare(...args)];
    expect(a.err).toBe('');
    expect(a.code).toBe(0);
    expect(JSON.parse(a.out).runs.length).toBeGreaterThan(10);
    expect(b.out).toBe(a.out);
  });

  test("the README's own strategy and scenario run; a syntax error is one line", async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const modules = [...readme.matchAll(/```js\n\/\/ (\S+\.mjs)\n(.*?)```/gs)];
    for (const [, name = '', text = ''] of modules) await writeFile(join(folder, name), text);
    const own = await compare(
      ...['--scenario', './two-stores.mjs', '--strategy', './mine.mjs', '--strategy', 'readonly-memslot'],
      ...['--no-timing', '--format', 'json'],
    );
    expect(own.err).toBe('');
    expect(own.code).toBe(0);
    const runs: { fate: string; claims: object[] }[] = JSON.parse(own.out).runs;
    expect(runs.map((r) => [r.fate, r.claims.length > 0])).toEqual([
      ['ok', false],
      ['ok', true],
    ]);
    await writeFile(join(folder, 'broken.mjs'), 'export default {\n  name: oops oops\n};');
    const broken = await compare('--scenario', './broken.mjs');
    expect(broken.code).toBe(2);
    expect(broken.err).toMatch(
      /^compare: --scenario \.\/broken\.mjs: cannot be loaded: SyntaxError: Unexpected identifier 'oops' \(line 2\)\n$/,
    );
  });
});

describe('a process among others', () => {
  test('a reader that goes away is no error', async () => {
    const child = spawn(
      process.execPath,
      [PROGRAM, '--no-timing', '--scenario', 'rom-write', '--format', 'json'],
      {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let err = '';
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.stdout.destroy();
    await new Promise((resolve) => child.on('close', resolve));
    expect(err).toBe('');
  });

  test('Ctrl-C prints what is finished and exits with 130', async () => {
    const child = spawn(process.execPath, [PROGRAM, '--format', 'json'], { cwd: folder });
    const texts = { out: '', err: '' };
    child.stdout.on('data', (chunk) => {
      texts.out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      texts.err += chunk;
    });
    setTimeout(() => child.kill('SIGINT'), 900);
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(130);
    expect(JSON.parse(texts.out).interrupted).toBe(true);
    expect(texts.err).toMatch(/^compare: interrupted: \d+ of \d+ runs were finished\n$/);
  });
});
