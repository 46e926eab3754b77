/** The command line as a user meets it: help, versions, and one clear line for whatever is wrong. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { completionScript } from './completion.ts';
import { FORMATS } from './output/render.ts';
import { runCli } from './testing.ts';

describe('help and version', () => {
  test('--help names every command and option, within 80 columns', async () => {
    const { code, out, err } = await runCli(['--help']);
    expect(code).toBe(0);
    expect(err).toBe('');
    for (const word of [
      'list',
      'explain',
      'report <file>',
      'diff',
      '--scenario',
      '--no-timing',
      'Exit code',
    ]) {
      expect(out).toContain(word);
    }
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('each command has its own help', async () => {
    for (const command of ['list', 'explain', 'report', 'diff']) {
      const { code, out } = await runCli([command, '--help']);
      expect(code).toBe(0);
      expect(out).toContain(`compare ${command}`);
    }
  });

  test('--version is the package version', async () => {
    const { default: manifest } = await import('../package.json', { with: { type: 'json' } });
    expect((await runCli(['--version'])).out).toBe(`${manifest.version}\n`);
  });

  test('the formats are those that can be rendered', async () => {
    const { RENDERERS } = await import('../reports/index.ts');
    expect([...FORMATS].sort()).toEqual(Object.keys(RENDERERS).sort());
  });
});

describe('usage errors are one line on stderr and exit 2', () => {
  const cases: readonly (readonly [argv: string, says: RegExp])[] = [
    ['--scenario', /--scenario needs a value/],
    ['--seed', /--seed needs a value/],
    ['--seed x', /--seed needs a number/],
    ['--seed 1.5', /--seed 1\.5: needs a whole number/],
    ['--seed=-1', /--seed -1: needs a whole number/],
    ['--seed 1 --seed 2', /--seed was given 2 times/],
    ['--out=', /--out needs a value/],
    ['--version=3', /--version takes no value/],
    ['list -h=x', /-h takes no value/],
    ['--no-timing=maybe', /--no-timing takes no value/],
    ['--paging npd', /--paging 'npd': choose from npt, shadow/],
    ['--format xml', /--format 'xml': choose from table, json/],
    ['--scenrio rom-write', /no option --scenrio\. Did you mean --scenario\?/],
    ['--qqqqqqq', /no option --qqqqqqq/],
    ['lst', /no command 'lst'\. Did you mean list\?/],
    ['frobnicate', /no command 'frobnicate'/],
    ['--with gup-reasons --without gup-reasons', /both name gup-reasons/],
    ['list extra', /list takes no argument 'extra'/],
    ['explain', /explain needs --scenario, --strategy/],
    ['report', /report needs <file>/],
    ['diff a.json', /diff needs two files/],
    ['report nowhere.json', /nowhere\.json: no such file/],
    ['report bin', /bin: it is a folder/],
    ['report package.json', /package\.json: not a Comparison: schema/],
    ['report README.md', /README\.md: not JSON/],
    ['--param writes', /--param 'writes': write it as name=value/],
    ['--param a=1 --param a=2', /--param a was given twice/],
    ['--with judge-vma', /no patch is called 'judge-vma'\. Did you mean judge-vma-by-access\?/],
    ['--strategy readonly-memslots', /no strategy is called .* Did you mean readonly-memslot\?/],
    ['--scenario rom-wirte', /no scenario is called 'rom-wirte'\. Did you mean rom-write\?/],
    ['--scenario rom-write --strategy ./nowhere.mjs', /--strategy \.\/nowhere\.mjs: no such file/],
    ['--scenario ./nowhere.mjs', /--scenario \.\/nowhere\.mjs: no such file/],
    ['--scenario bin/', /it is not a file/],
    ['--scenario rom-write --strategy private-cow --without ro-cached-mmio', /private-cow has no patch/],
    ['--scenario rom-write --without leave-looping', /no strategy has that/],
  ];
  test.each(cases)('%s', async (argv, says) => {
    const { code, out, err } = await runCli(argv.split(' '));
    expect(err).toMatch(says);
    expect(err).toMatch(/^compare: [^\n]+\n$/);
    expect(out).toBe('');
    expect(code).toBe(2);
  });
});

test('two things of one name are refused, a thing given twice is taken once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'faultline-'));
  try {
    const strategy = (
      name: string,
    ): string => `export default { name: '${name}', cover: 'Mine.', source: 'me',
      layout: { backing: 'shm', shared: true, prot: 1, slotFlags: 0 }, series: [] }`;
    const scenario = (
      name: string,
    ): string => `export default { name: '${name}', asks: 'What?', operation: 'store',
      source: 'me', memory: { bios: { kind: 'rom', at: 0xf0000, bytes: 0x1000 } }, guest(g) { g.halt(); },
      operations: () => 0, claims: () => ({}) }`;
    for (const name of ['a.mjs', 'b.mjs']) await writeFile(join(folder, name), strategy('mine'));
    for (const name of ['c.mjs', 'd.mjs']) await writeFile(join(folder, name), scenario('mine'));
    const run = (...argv: string[]) => runCli([...argv, '--no-timing', '--format', 'csv'], { cwd: folder });
    const two = await run('--scenario', 'rom-read', '--strategy', './a.mjs', './b.mjs');
    expect(two).toEqual({
      code: 2,
      out: '',
      err: "compare: --strategy: 'mine' is there twice; give each its own name\n",
    });
    expect((await run('--scenario', './c.mjs', './d.mjs', '--strategy', 'coexist')).err).toBe(
      "compare: --scenario: 'mine' is there twice; give each its own name\n",
    );
    const once = await run('--scenario', 'rom-read', 'rom-read', '--strategy', 'coexist', 'coexist');
    expect(once.code).toBe(0);
    expect(once.out.match(/,fate,/g)).toHaveLength(1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('what is echoed does not act on the terminal', async () => {
  const hidden = '\u001b[31m\u009b2J\u202e';
  for (const argv of [
    [hidden],
    ['--scenario', hidden],
    [`--${hidden}`],
    ['--param', hidden],
    ['report', hidden],
    ['conform', '--filter', `(${hidden}`],
  ]) {
    const { code, out, err } = await runCli(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('\\u{1b}[31m\\u{9b}2J\\u{202e}');
    expect(err).toMatch(/^[\x20-\x7e]+\n$/);
  }
});

describe('completion', () => {
  const words = async (...typed: string[]): Promise<string[]> =>
    (await runCli(['--complete', ...typed])).out.trim().split('\n');

  test('completes commands and options', async () => {
    expect(await words('li')).toEqual(['list']);
    expect(await words('--str')).toEqual(['--strategy']);
    expect(await words('report', 'x.json', '--f')).toEqual(['--format']);
  });

  test('completes names and choices', async () => {
    expect(await words('--strategy', 'readonly')).toContain('readonly-memslot-v5');
    expect(await words('--without', 'judge')).toEqual(['judge-vma-by-access']);
    expect(await words('--scenario', 'rom-read', 'rom-w')).toContain('rom-write');
    expect(await words('--paging', '')).toEqual(['npt', 'shadow']);
    expect(await words('--scenario=rom-wr')).toContain('--scenario=rom-write');
    expect(await words('--scenario', '=', 'rom-wr')).toContain('rom-write');
    expect(await words('--paging', '=')).toEqual(['npt', 'shadow']);
    expect(await words('conform', '--kernel', 'sto')).toEqual(['stock']);
    expect(await words('--scenario', 'rom-write', '--param', '')).toEqual(['writes=']);
    expect(await words('--no-timing', '--pag')).toEqual(['--paging']);
  });

  test('the script is for the name the program was called by', async () => {
    expect((await runCli(['completion'], { name: 'faultline' })).out).toBe(completionScript('faultline'));
  });
});
