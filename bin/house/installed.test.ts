/** The program as it is installed: built, run as a process from another folder, into pipes that close. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtProgram, type Ended, execute } from './built.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let program: string;
let folder: string;
beforeAll(async () => {
  program = await builtProgram();
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const compare = (...args: string[]): Promise<Ended> =>
  execute(process.execPath, [program, ...args], { cwd: folder });

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
      [program, '--no-timing', '--scenario', 'rom-write', '--format', 'json'],
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

  test.each(['SIGINT', 'SIGTERM'] as const)('%s prints what is finished', async (signal) => {
    // The module says when it is being run, so that nothing depends on how fast this machine is.
    await writeFile(join(folder, 'chatty.mjs'), CHATTY);
    const child = spawn(
      process.execPath,
      [
        program,
        '--scenario',
        './chatty.mjs',
        '--timeout',
        '600',
        '--jobs',
        '2',
        '--no-timing',
        '--format',
        'json',
      ],
      { cwd: folder },
    );
    const texts = { out: '', err: '' };
    child.stdout.on('data', (chunk) => {
      texts.out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      texts.err += chunk;
      if (!child.killed && texts.err.includes('| endless')) child.kill(signal);
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(signal === 'SIGINT' ? 130 : 143);
    const { interrupted, runs } = JSON.parse(texts.out);
    expect(interrupted).toBe(true);
    expect(runs.length).toBeGreaterThan(0);
    expect(texts.err).toMatch(/\ncompare: interrupted: \d+ of \d+ runs were finished\n$/);
  });
});

/** A scenario whose VMM never comes back from the fifth run on, and says so. */
const CHATTY = `import { rom } from 'faultline/scenarios';
let runs = 0;
export default {
  name: 'chatty', asks: 'Does it end?', operation: 'halt', source: 'test', memory: { bios: rom(0xf0000, 0x1000) },
  before() { if (++runs > 2) for (console.log('endless'); ; ); },
  guest(g) { g.halt(); }, operations: () => 0,
};`;
